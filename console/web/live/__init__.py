"""What runs now: workers' heartbeats read from Redis and made into rates, what they counted by the minute, the broker.

::

    beats      the heartbeats, and a metric's name and labels
    watch      reads them every two seconds, remembers a minute of them, notices who is lost
    minutes    what workers counted in each minute, read from Redis and remembered
    broker     asks every ten seconds whether the broker answers
    picture    what the page Now shows of it: stations, findings, accounts
"""
