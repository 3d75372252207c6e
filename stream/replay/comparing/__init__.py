"""Two runs of one capture held against each other, and a run against a golden.

::

    columns, golden ── diff ── difference          a run or a golden by columns, compared, and what that says as data
                        │
       agreement        how far two ranked lists agree
       next_acts        what shoppers did next, and what of it the slates had
       changed_shoppers who would have seen the most different things
    chains              how one slate came about, from the tables of its run
    distances, expected how far off each metric is, and whether that may be: the regression test

Pages are made by :mod:`stream.replay.report`.
"""
