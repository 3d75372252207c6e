"""Evaluation by fixed protocols, pure: logs and judgments in, figures with confidence intervals out.

::

    orders          order lines from events
    slate           the protocol of slates: history before a cutoff, targets after it
    slate_channels  the channels and baselines it compares, by name
    discovery       what a guaranteed share of discovery costs and brings
    metrics         hit rate, recall, NDCG, coverage; the bootstrap
    documents       a catalogue's fields of text
    retrieval       graded judgments of queries
"""
