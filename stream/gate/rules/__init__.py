"""Rules: when a shopper is worth a thought.

::

    ruleset.py ── checks.py ── conditions.py     a file of rules; what is wrong with it; made ready for the hot path
    book.py ── changes.py                        versions kept in Redis; what one changes against another
    live.py ── in_force.py                       brought to workers while they run, at a boundary that is written down
    rules.default.yaml                           what is in force until somebody says otherwise
"""
