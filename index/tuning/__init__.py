"""Choosing a vector index by measurement on one's own vectors and queries.

::

    candidates   the types and breadths that are tried
    measure      recall against exact search, latency, size and build time of each
    pick         the cheapest that reaches the wanted recall; what is written into a catalogue
"""

from index.tuning.candidates import Candidate, candidates
from index.tuning.measure import Measured, exact_neighbours, measure
from index.tuning.pick import adopt, pick

__all__ = ["Candidate", "Measured", "adopt", "candidates", "exact_neighbours", "measure", "pick"]
