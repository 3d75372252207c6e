"""Ranking: the candidates of all channels into one slate.

::

    features   what is known of a shopper and an item
    learned    the ranker, trained on earlier moments of the same log
    diversity  maximal marginal relevance
"""
