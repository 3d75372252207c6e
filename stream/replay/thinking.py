"""Ladder and recall for a replay, wired as in a worker, with a cassette before the models where one is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.errors import BadAnswer, GenerationError
from agents.ladder import Ladder
from agents.runtime import open_runtime, settled
from agents.runtime.choice import with_runtime
from agents.settings import RuntimeKind
from index.built.catalog import Catalog
from index.encoders.encoder import CachedEncoder
from index.living import LivingRecall
from index.settings import open_encoder, open_recall
from stream.infer.background import living_backgrounds
from stream.infer.spelling import LivingSpelling, living_spelling
from stream.judging import LivingJudge
from stream.replay.in_place import Thinking, still
from stream.replay.recorded_encoder import recorded_encoder
from stream.replay.recorded_runtime import RecordedRuntime, model_of, parameters_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents.prompts import Prompt
    from agents.runtime import Generation, Request, Runtime
    from agents.settings import AgentSettings
    from agents.structured import Structure
    from index.living import Change
    from index.recall import Recall
    from index.settings import IndexSettings
    from stream.replay.cassette import Cassette
    from stream.settings import InferSettings, SlateSettings

__all__ = ["Models", "NoModel", "open_models", "open_thinking"]


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


class _Counted(LivingRecall):
    """A catalogue whose judge and spelling learn the words of an item when it comes, and not when a trigger next asks for them.

    Where triggers are shared out among workers each asks at other times, and all must judge alike.
    """

    count: LivingJudge | None = None
    spelling: LivingSpelling | None = None

    def apply(self, changes: Sequence[Change]) -> list[int]:
        """As `LivingRecall.apply`."""
        unknown = super().apply(changes)
        if self.count is not None:
            self.count()
        if self.spelling is not None:
            self.spelling.refresh()
        return unknown


@dataclass(frozen=True)
class Models:
    """What is loaded once and thinks for any number of catalogues that change.

    Attributes:
        runtime: the language model, with a cassette before it where there is one.
        recall: over the catalogue as it was built.
        called: as :class:`Thinking` has it.
    """

    agents: AgentSettings
    index: IndexSettings
    infer: InferSettings
    slates: SlateSettings
    runtime: Runtime
    recall: Recall
    called: Callable[[], tuple[int | None, int]]

    async def thinking(self) -> Thinking:
        """Ladder and recall over the catalogue as it was built, which changes on its own from here on."""
        living = _Counted(self.recall)
        judge = LivingJudge(self.agents.judge, living) if self.agents.judge.enabled else None
        if judge is not None:
            living.count = judge
            judge()
        spelling = living.spelling = living_spelling(self.agents, living)
        # What a trigger leads to must not depend on which triggers came before it to this process.
        background = living_backgrounds(self.agents, self.recall, remember=False)
        if background is not None:
            background.follow(living)
        ladder = Ladder(
            self.runtime,
            self.agents,
            judge=judge,
            background=background,
            mend=spelling.mend if spelling is not None else None,
            clock=still,
        )
        await ladder.prepare()
        return Thinking(ladder, living, self.infer, self.slates, self.index.recall.new_days, self.called)


def open_models(
    agents: AgentSettings,
    index: IndexSettings,
    infer: InferSettings,
    slates: SlateSettings,
    *,
    cassette: Cassette | None = None,
    model: bool = True,
) -> Models:
    """Models and catalogue as the settings say.

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
    if model:
        agents = _decided(agents, index, cassette)
    runtime: Runtime = NoModel()
    recorded: RecordedRuntime | None = None
    if model and cassette is not None:
        shop = Catalog.open(index.catalog)
        recorded = runtime = RecordedRuntime(
            cassette,
            model_of(agents, cassette, shop.phrases()),
            parameters_of(agents),
            lambda: open_runtime(agents, shop.phrases(), shop.categories),
        )
    elif model:
        # The language model before the encoder: it tells OpenMP how to wait, which is heard only once.
        shop = Catalog.open(index.catalog)
        runtime = open_runtime(agents, shop.phrases(), shop.categories)
    taped = recorded_encoder(index.encoder, cassette) if cassette is not None else None
    encoder = CachedEncoder(taped, index.encoder.cache) if taped is not None else open_encoder(index.encoder)

    def called() -> tuple[int | None, int]:
        texts = taped.called if taped is not None else encoder.misses
        return recorded.called if recorded is not None else None, texts

    return Models(agents, index, infer, slates, runtime, open_recall(index, encoder), called)


def _decided(agents: AgentSettings, index: IndexSettings, cassette: Cassette | None) -> AgentSettings:
    """The settings with the runtime decided: the one whose calls a cassette holds, else as in a worker."""
    if agents.runtime is RuntimeKind.AUTO and cassette is not None:
        held = {one.runtime for one, _ in cassette.models() if one.kind == "llm"}
        if len(held) == 1:
            return with_runtime(agents, RuntimeKind(held.pop()))
    return settled(agents, Catalog.open(index.catalog).phrases())


async def open_thinking(
    agents: AgentSettings,
    index: IndexSettings,
    infer: InferSettings,
    slates: SlateSettings,
    *,
    cassette: Cassette | None = None,
    model: bool = True,
) -> Thinking:
    """What turns triggers into slates as the settings say; arguments and errors as :func:`open_models`."""
    return await open_models(agents, index, infer, slates, cassette=cassette, model=model).thinking()
