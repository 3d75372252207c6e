"""State: what the gate knows of shoppers, and how it outlives a crash.

::

    activity.py ── recent.py  ledger.py     one shopper: counts and firings, the newest events, what was bought
    checkpoint.py ── accounting.py          states, offsets and counts of a partition, in one fenced transaction
"""
