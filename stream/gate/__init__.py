"""The gate: events in, triggers out, nothing lost in between.

::

    source.py ── merge.py ── gate.py ── agent.py       read, order, apply, own and publish
                               │           │
                            rules/       state/        what to fire on; what is remembered and written down
    role.py                                            wired into a worker
"""
