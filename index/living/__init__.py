"""The living catalogue: a built one that changes while it serves, and versions of it that change places whole.

::

    changes    what may be said of an item: upsert, price, stock, remove
    delta      the state beside a build: changed items, new rows, what is not offered; immutable, one for each batch
    near       vectors of the new rows: the newest searched exactly, older ones by a graph
    added      what is asked of new rows many at a time
    catalog    build and delta read as one catalogue
    vectors    build and delta searched as one index
    living     `LivingRecall`: applies changes, and hands out a recall over the newest state
    versions   publish, list, roll back, prune
    fold       a delta made part of a new version, without encoding anything again
"""

from index.living.changes import Change, Price, Remove, Stock, Upsert
from index.living.living import LivingRecall
from index.living.versions import Version, Versions

__all__ = ["Change", "LivingRecall", "Price", "Remove", "Stock", "Upsert", "Version", "Versions"]
