"""UQ2I: how much each of a shopper's demands counts when their lists are fused.

::

    weights          evidence of a demand → its weight, a sum of named parts
    paths            relevance of a query to a shopper through the knowledge graph
    links            edges of the graph as sparse rows
    catalog_graph    categories and factors of a catalogue
    behaviour_graph  buyers and searched words out of logs
    store            the graph as a folder of memory-mapped arrays
"""

from index.demand_weights.behaviour_graph import bought_by, searched_as
from index.demand_weights.catalog_graph import catalog_paths, factors
from index.demand_weights.links import Links
from index.demand_weights.paths import PathRelevance, Paths, PathSettings, Recalled
from index.demand_weights.store import open_paths, save_paths
from index.demand_weights.weights import Evidence, Weighed, WeightSettings, weigh

__all__ = [
    "Evidence",
    "Links",
    "PathRelevance",
    "PathSettings",
    "Paths",
    "Recalled",
    "Weighed",
    "WeightSettings",
    "bought_by",
    "catalog_paths",
    "factors",
    "open_paths",
    "save_paths",
    "searched_as",
    "weigh",
]
