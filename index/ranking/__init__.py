"""Ranking: the candidates of all channels into one slate.

::

    item_facts   what is known of an item by itself
    features     what is known of a shopper and an item
    closed_form  EASE^R in single precision, for features
    lessons      what earlier moments of the same log teach
    learned      the ranker, trained on them
    training     what `nearline rank train` learns, checks and saves
    slate        coarse score, ranker and arrangement: every score a sum of named parts
    diversity    what likeness costs; the broader second part of a list
    limits       caps by category, brand and seller
    live         what is known of a live candidate, as recorded with every slate
    live_ranker  the ranker over it
    from_slates  what `nearline rank train --slates` learns from recorded slates and what followed
    discovery    the places that each slate keeps for what is new, trending or of unseen categories
"""
