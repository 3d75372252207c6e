"""Inference: triggers in, slates out.

::

    source.py ── pipeline.py ── shopper.py   read, think and write, what the model is told
                     ├── evidence.py         what speaks for a demand, for its weight in recall
                     └── chain.py            the slate with its whole chain
    role.py                                  wired into a worker
"""
