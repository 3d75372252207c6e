"""The gate beside its peers, on one topic of one Apache Kafka, in one run: ``make bench-gate``.

::

    run.py          fills the topic, runs every contender in a process of its own, prints the table
    topic.py        the events and the measuring that all contenders share
    bare.py         aiokafka read and msgspec decode, nothing else
    nearline.py     the gate, without and with checkpoints
    faust_loop.py   Faust's per-event loop: a count, or a Table
    quix.py         Quix Streams with state (its own environment)

Beside them ``million.py``: a million shoppers, their bytes in Redis and the worker's memory (``make bench-million``).
"""
