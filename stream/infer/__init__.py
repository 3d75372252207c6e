"""Inference: triggers in, slates out.

::

    source.py ── pipeline.py ── shopper.py   read, think and write, what the model is told
                     ├── background.py       what the slow agents know of a shopper
                     │     └── wording.py    portraits in a model's words, beside the way to slates
                     ├── spelling.py         the words that misspelt searches are mended by
                     ├── titles.py           what the model may write, as the catalogue changes
                     ├── evidence.py         what speaks for a demand, for its weight in recall
                     └── chain.py            the slate with its whole chain
    role.py                                  wired into a worker
"""
