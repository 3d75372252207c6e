"""A runtime with a cassette before it: answers come from there, and go there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from agents.errors import BadAnswer, GenerationError, ModelError
from agents.runtime import Generation
from agents.runtime.choice import student_folder
from agents.runtime.weights import locate
from agents.settings import RuntimeKind
from index.encoders.fingerprint import model_fingerprint
from stream.replay.calls import Call, Mode, Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agents.prompts import Prompt
    from agents.runtime import Request, Runtime
    from agents.settings import AgentSettings
    from agents.structured import Structure
    from stream.replay.cassette import Cassette

__all__ = ["RecordedRuntime", "model_of", "parameters_of"]


def model_of(settings: AgentSettings, cassette: Cassette, titles: Iterable[str] = ()) -> Model:
    """The language model that the settings name, as a cassette knows it.

    A local model is the hash of its files. A server shows none, so it is known by the name it was asked by. Where the local
    model is not installed, a strict cassette's own stands for it: it is not called.

    Raises:
        ModelError: the in-process model cannot be found.
    """
    if settings.runtime is RuntimeKind.SERVER:
        return Model("llm", "server", settings.server.model, f"name:{settings.server.model}")
    if settings.runtime is RuntimeKind.STUDENT:
        folder = student_folder(settings.student, tuple(titles))
        return Model("llm", "student", folder.name, model_fingerprint(folder))
    try:
        folder = locate(settings.local)
    except ModelError:
        held = [one for one, _ in cassette.models() if (one.kind, one.runtime) == ("llm", "local")]
        if cassette.mode is Mode.STRICT and len(held) == 1:
            return held[0]
        raise
    return Model("llm", "local", folder.name, model_fingerprint(folder))


def parameters_of(settings: AgentSettings) -> dict[str, Any]:
    """What decides a model's answers beside the request: the number format and the pieces it may write.

    A student's answers are also decided by the catalogue, which a replay has as it was.
    """
    if settings.runtime is RuntimeKind.STUDENT:
        return {"personal": settings.student.personal, "new_share": settings.student.new_share}
    if settings.runtime is RuntimeKind.SERVER:
        return {"mode": str(settings.server.mode)}
    return {"dtype": str(settings.local.dtype), "vocabulary": settings.local.vocabulary}


class RecordedRuntime:
    """A runtime whose answers are kept in a cassette, or come from there.

    An answer and a text that is none (``BadAnswer``) are the model's and are kept. That it was late, away or busy is not: such
    a call is made again.

    Args:
        cassette: open, in a mode other than ``off``.
        model: whose calls they are, and ``parameters`` what else decides its answers.
        parameters: see :func:`parameters_of`.
        load: makes the runtime when it is first needed; a strict cassette never does.

    Raises:
        OtherModelError: the cassette holds calls of another model.
    """

    def __init__(
        self, cassette: Cassette, model: Model, parameters: dict[str, Any], load: Callable[[], Runtime]
    ) -> None:
        cassette.check(model)
        self._cassette = cassette
        self._model = model
        self._parameters = parameters
        self._load = load
        self._inner: Runtime | None = None
        self._prepared: tuple[Prompt, Structure] | None = None
        self.name = model.runtime
        self.model = model.model
        self.called = 0

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        """Remember what to prepare if the model is called."""
        self._prepared = (prompt, structure)

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        """As the runtime's own; what the cassette has is not asked of it.

        Raises:
            CallMissingError: the cassette is strict and lacks one.
        """
        calls = [self._call(request) for request in requests]
        found = self._cassette.get(calls)
        missing = [place for place, answer in enumerate(found) if answer is None]
        answers = {place: _read(answer) for place, answer in enumerate(found) if answer is not None}
        if missing:
            inner = await self._runtime()
            given = await inner.generate([requests[place] for place in missing], deadline)
            self.called += len(missing)
            answers.update(zip(missing, given, strict=True))
            kept = [
                (place, data)
                for place, answer in zip(missing, given, strict=True)
                if (data := _written(answer)) is not None
            ]
            counting = self._cassette.put([(calls[place], data) for place, data in kept])
            # Another process may have asked the same, and answers must be those that a replay finds.
            answers.update({place: _read(data) for (place, _), data in zip(kept, counting, strict=True)})
        return [answers[place] for place in range(len(requests))]

    async def ready(self) -> bool:
        """Whether a request now would be answered."""
        return self._cassette.mode is Mode.STRICT or await (await self._runtime()).ready()

    async def close(self) -> None:
        """Free the model, where it was loaded."""
        if self._inner is not None:
            await self._inner.close()

    async def _runtime(self) -> Runtime:
        if self._inner is None:
            self._inner = self._load()
            if self._prepared is not None:
                await self._inner.prepare(*self._prepared)
        return self._inner

    def _call(self, request: Request) -> Call:
        prompt, structure = request.prompt, request.structure
        parameters = {
            **self._parameters,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "structure": [structure.name, structure.at_most, structure.longest],
            "banned": hashlib.sha256("\0".join(sorted(request.banned)).encode()).hexdigest()[:16],
        }
        return Call(self._model, f"{prompt.version} ({prompt.sha256[:16]})", parameters, request.text)


class _Answer(msgspec.Struct, omit_defaults=True):
    """An answer as the cassette has it: a generation, or the message of a text that is none."""

    generation: Generation | None = None
    bad: str = ""


_decode = msgspec.json.Decoder(_Answer).decode


def _written(answer: Generation | GenerationError) -> bytes | None:
    if isinstance(answer, Generation):
        return msgspec.json.encode({"generation": answer})
    return msgspec.json.encode(_Answer(bad=answer.message)) if isinstance(answer, BadAnswer) else None


def _read(data: bytes) -> Generation | GenerationError:
    answer = _decode(data)
    return answer.generation if answer.generation is not None else BadAnswer(answer.bad)
