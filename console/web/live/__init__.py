"""What runs now: workers' heartbeats read from Redis, made into rates, and kept by the minute.

::

    beats     the heartbeats, and a metric's name and labels
    watch     reads them every two seconds, remembers a minute of them, notices who is lost
    minutes   what happened in each minute, in a stream in Redis that all consoles share
    picture   what the page Now shows of it
"""
