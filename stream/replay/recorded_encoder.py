"""An encoder with a cassette before it: vectors come from there, and go there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from index.errors import CatalogError
from index.settings import encoder_fingerprint, open_encoder
from stream.replay.calls import Call, Mode, Model
from stream.replay.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from index.encoders.encoder import Encoder, Vectors
    from index.settings import EncoderSettings
    from stream.replay.cassette import Cassette

__all__ = ["RecordedEncoder", "recorded_encoder"]


class RecordedEncoder:
    """An encoder whose vectors are kept in a cassette, or come from there, each text's on its own.

    Args:
        cassette: open, in a mode other than ``off``.
        model: whose vectors they are; its hash is the encoder's fingerprint.
        dimensions: of a vector.
        load: makes the encoder when it is first needed; a strict cassette never does.

    Raises:
        OtherModelError: the cassette holds vectors of another encoder.
    """

    def __init__(
        self, cassette: Cassette, model: Model, dimensions: int, load: Callable[[], Encoder]
    ) -> None:
        cassette.check(model)
        self._cassette = cassette
        self._model = model
        self._load = load
        self._inner: Encoder | None = None
        self.name = model.model
        self.dimensions = dimensions
        self.fingerprint = model.hash
        self.called = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As `Encoder.encode`; what the cassette has is not computed.

        Raises:
            CallMissingError: the cassette is strict and lacks one.
            EncoderUnavailableError: the encoder cannot be loaded or reached.
        """
        different = list(dict.fromkeys(texts))
        answers = self._cassette.get([self._call(text) for text in different])
        found = {
            text: _vector(answer)
            for text, answer in zip(different, answers, strict=True)
            if answer is not None
        }
        if missing := [text for text in different if text not in found]:
            if self._inner is None:
                self._inner = self._load()
            made = self._inner.encode(missing)
            self.called += len(missing)
            counting = self._cassette.put(
                [
                    (self._call(text), row.astype("<f4").tobytes())
                    for text, row in zip(missing, made, strict=True)
                ],
                {"dimensions": self.dimensions},
            )
            found |= {text: _vector(answer) for text, answer in zip(missing, counting, strict=True)}
        out = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for place, text in enumerate(texts):
            out[place] = found[text]
        return out

    def _call(self, text: str) -> Call:
        return Call(self._model, "", {}, text)


def _vector(answer: bytes) -> Vectors:
    return np.frombuffer(answer, dtype="<f4").astype(np.float32)


def recorded_encoder(settings: EncoderSettings, cassette: Cassette) -> RecordedEncoder:
    """The encoder that the settings name, with a cassette before it.

    A strict cassette never loads it; where it is not installed, the cassette's own stands for it.

    Raises:
        CassetteError: the cassette is strict and holds no vectors.
        OtherModelError: it holds vectors of another encoder.
        EncoderUnavailableError: the encoder cannot be loaded or reached.
    """
    if cassette.mode is not Mode.STRICT:
        inner = open_encoder(settings.model_copy(update={"cache": 0}))
        model = Model("embedding", settings.kind, inner.name, inner.fingerprint)
        return RecordedEncoder(cassette, model, inner.dimensions, lambda: inner)
    held = [(one, detail) for one, detail in cassette.models() if one.kind == "embedding"]
    if not held:
        raise CassetteError(
            f"{cassette.path} holds no vectors.", way_out="Record with the encoder first: --mode record."
        )
    model, detail = held[-1]
    if settings.kind == "local":
        try:
            fingerprint = encoder_fingerprint(settings)
        except (CatalogError, ImportError):
            fingerprint = model.hash  # it is not installed here
        chosen = next((pair for pair in held if pair[0].hash == fingerprint), None)
        model, detail = chosen or (model._replace(hash=fingerprint), detail)

    def never() -> Encoder:
        raise CassetteError(f"{cassette.path} is strict.", way_out="Replay with --mode replay.")

    return RecordedEncoder(cassette, model, int(detail["dimensions"]), never)
