"""From a shopper's demands and history to the candidates of a slate.

::

    request    what is asked: demands with their evidence, acts, categories; and what comes back
    channel    what a channel is: lists of rows with values from 0 to 1, for a whole batch
    words      dense and lexical: what answers a demand
    lists      the lists of many demands made at once
    remembered what of them is made, and what was made before
    together   behaviour: what goes together with what the shopper took
    shelves    popular and new: by the shopper's categories
    weights    how much each demand counts (UQ2I)
    pool       the lists of all shoppers of a batch joined: a column a channel
    coarse     the coarse score, and places by channel
    shortlist  which candidates go on to the next stage
    slate      coarse score, features, ranker, arrangement
    candidates what was chosen, with why: candidates whose parts add up
    memory     what was found for a demand before, over one state of the catalogue
    text_vectors  the texts' vectors in single precision
    beside     what lies in the folders beside items and vectors, opened once
    recall     `Recall`: one encode and one search a batch, then the above for all its shoppers at once
    settings   how it is done
"""

from index.recall.recall import Recall
from index.recall.request import Act, Candidate, Query, RecallRequest, RecallResult
from index.recall.settings import RecallSettings

__all__ = ["Act", "Candidate", "Query", "Recall", "RecallRequest", "RecallResult", "RecallSettings"]
