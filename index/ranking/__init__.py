"""Ranking: the candidates of all channels into one slate.

::

    features     what is known of a shopper and an item
    closed_form  EASE^R in single precision, for features
    learned      the ranker, trained on earlier moments of the same log
    training     what `nearline rank train` learns, checks and saves
    slate        coarse score, ranker and arrangement: every score a sum of named parts
    diversity    maximal marginal relevance
    limits       filters, and caps by category, brand and seller
    discovery    the places that each slate keeps for what is new, trending or of unseen categories
"""
