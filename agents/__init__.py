"""From a shopper's activity to demands, written as search queries (U2Q).

    shopper      what is known of a shopper at a trigger
      profile    ... as the text that a model reads; everything in it is data
    background   what the slow agents know of a shopper, put together
    history      what was bought, by week and category
      compression  ... in a few hundred tokens; periods, token_count
    preference   what a shopper prefers, in three horizons
    portrait     who a shopper is, in facts; price_bands, portrait_wording
    factors      what items are chosen for, in the catalogue's own words
    prompts      what never changes: rules and examples, files with a version
    structured   the schema of the answer, one for every runtime
    runtime      where the model runs: in this process, or a server
    demand       what came of it, cleaned
    explicit     demands in the shopper's own words, which stand before those inferred
      spelling   searches that the shop does not understand, in the catalogue's words
    leads        the sides from which a model is asked
      written    ... and what it answered, as demands
    distill      a shop's own student, trained from its own log
    ladder       never empty, never late: model, cached, preference, popular
      breaker    when to leave a failing model alone
    words        when two phrases are the same
    settings     what can be told
    errors       what can go wrong

The room knows nothing of Kafka or Redis. Importing it brings no torch; ``open_runtime`` does, for
the in-process model only.
"""

from __future__ import annotations

from agents.demand import Demand, DemandSet, Rejected, Rung
from agents.ladder import Ladder
from agents.runtime import Runtime, open_runtime, prepare_model, settled
from agents.settings import AgentSettings
from agents.shopper import Act, LedgerLine, Shopper

__all__ = [
    "Act",
    "AgentSettings",
    "Demand",
    "DemandSet",
    "Ladder",
    "LedgerLine",
    "Rejected",
    "Rung",
    "Runtime",
    "Shopper",
    "open_runtime",
    "prepare_model",
    "settled",
]
