"""The gate: events in, triggers out, nothing lost in between.

::

    source.py ── merge.py ── gate.py ── conditions.py        read, order, apply, fire
                               │              │
    agent.py ──────────── activity.py      rules.py          own, remember, what to fire on
       └── checkpoint.py  accounting.py                      write down, account for
    rulebook.py ── live_rules.py ── in_force.py              rules that change while it runs
    role.py                                                  wired into a worker
"""
