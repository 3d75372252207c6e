"""The demo: real events on an embedded stack, a live view, a summary, one shopper's story.

::

    run.py       stack, catalogue, worker, events: from start to end
    watch.py     counts what passes on the trigger and slate topics
    live.py      the view while it runs
    summary.py   counts and percentiles at the end
    story.py     one shopper's chain in plain words
"""
