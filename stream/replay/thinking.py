"""Ladder and recall for a replay, wired as in a worker, with a cassette before the models where one is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.errors import BadAnswer, GenerationError
from agents.ladder import Ladder
from agents.runtime import open_runtime
from index.built.catalog import Catalog
from index.encoders.encoder import CachedEncoder
from index.living import LivingRecall
from index.settings import open_encoder, open_recall
from stream.judging import LivingJudge
from stream.replay.in_place import Thinking, still
from stream.replay.recorded_encoder import recorded_encoder
from stream.replay.recorded_runtime import RecordedRuntime, model_of, parameters_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.prompts import Prompt
    from agents.runtime import Generation, Request, Runtime
    from agents.settings import AgentSettings
    from agents.structured import Structure
    from index.settings import IndexSettings
    from stream.replay.cassette import Cassette
    from stream.settings import InferSettings, SlateSettings

__all__ = ["NoModel", "open_thinking"]


class NoModel:
    """A runtime without a model: demands are written by code alone."""

    name = "none"
    model = "none"

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        """Nothing to prepare."""

    async def generate(
        self,
        requests: Sequence[Request],
        deadline: float | None = None,  # noqa: ARG002  # the protocol has it
    ) -> list[Generation | GenerationError]:
        """No answer to any of them."""
        return [BadAnswer("this replay is without a model.") for _ in requests]

    async def ready(self) -> bool:
        """Always: there is nothing to wait for."""
        return True

    async def close(self) -> None:
        """Nothing to free."""


async def open_thinking(
    agents: AgentSettings,
    index: IndexSettings,
    infer: InferSettings,
    slates: SlateSettings,
    *,
    cassette: Cassette | None = None,
    model: bool = True,
) -> Thinking:
    """What turns triggers into slates as the settings say.

    Args:
        agents: the language model and the ladder.
        index: catalogue, encoder, recall.
        infer: from triggers to slates.
        slates: how long demands are remembered.
        cassette: open; None for none.
        model: without, demands are written by code.

    Raises:
        CatalogError: there is no catalogue, it is damaged, or another encoder built its index.
        AgentError: the model, or what the judge learnt, cannot be loaded.
        CassetteError: the cassette is of other models, or holds none.
    """
    runtime: Runtime = NoModel()
    recorded: RecordedRuntime | None = None
    if model and cassette is not None:
        shop = Catalog.open(index.catalog)
        recorded = runtime = RecordedRuntime(
            cassette,
            model_of(agents, cassette),
            parameters_of(agents),
            lambda: open_runtime(agents, shop.phrases(), shop.categories),
        )
    elif model:
        # The language model before the encoder: it tells OpenMP how to wait, which is heard only once.
        shop = Catalog.open(index.catalog)
        runtime = open_runtime(agents, shop.phrases(), shop.categories)
    taped = recorded_encoder(index.encoder, cassette) if cassette is not None else None
    encoder = CachedEncoder(taped, index.encoder.cache) if taped is not None else open_encoder(index.encoder)
    living = LivingRecall(open_recall(index, encoder))
    judge = LivingJudge(agents.judge, living) if agents.judge.enabled else None
    ladder = Ladder(runtime, agents, judge=judge, clock=still)
    await ladder.prepare()

    def called() -> tuple[int | None, int]:
        texts = taped.called if taped is not None else encoder.misses
        return recorded.called if recorded is not None else None, texts

    return Thinking(ladder, living, infer, slates, index.recall.new_days, called)
