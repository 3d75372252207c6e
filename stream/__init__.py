"""The stream room: from events on Kafka to slates in Redis. It joins the other rooms.

::

    events.py  topics.py  settings.py      what arrives, where, and how it is configured
    gate/      events to triggers          merge, activity, rules, checkpoints
    infer/     triggers to slates          shopper, pipeline, chain
    triggers.py  slates.py  dead.py        the contracts on the way out
    worker.py  faust_app.py                a process and its roles
    metrics/  tracing.py  logs.py          what a worker tells of itself
    contracts/                             schemas of all messages, as files
    datasets/  player.py                   shopping data, and its sending
    embedded/                              a broker and a Valkey for one machine
"""
