"""Inference: triggers in, slates out.

::

    source.py ── pipeline.py ── shopper.py   read, think and write, what the model is told
                     ├── background.py       what the slow agents know of a shopper
                     ├── titles.py           what the model may write, as the catalogue changes
                     ├── evidence.py         what speaks for a demand, for its weight in recall
                     └── chain.py            the slate with its whole chain
    role.py                                  wired into a worker
"""
