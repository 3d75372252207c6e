"""The catalog topic: changes to items, followed by every worker that infers.

::

    record     one change as JSON: upsert, price, stock, remove; what is wrong with a bad one
    sender     puts changes on the topic, keyed by item
    follower   reads the topic from a version's offsets on and applies it to a living recall
    service    the worker's part: follows, takes up new versions, folds a delta that has grown
    settings   what can be set
"""
