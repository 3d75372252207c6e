"""What a worker tells of itself in numbers: on its page ``/metrics``, and every two seconds in Redis.

::

    described   every metric: name, labels, meaning, what to do when it moves
    latency     times counted into buckets
    readings    the samples of one scrape, checked against the descriptions
    gate  infer what the roles count; read when asked, so that an event costs nothing
    worker      all of a worker: its registry, the text for Prometheus, flat values
    heartbeat   these values in Redis, for the console and for who counts the workers
    minutes     what happened in each minute, in Redis, for the console
    page        docs/metrics.md
"""
