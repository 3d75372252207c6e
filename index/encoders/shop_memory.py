"""What a shop's behaviour says about its texts, laid over a general encoder's vectors.

Known texts (titles of items sold, what shoppers searched for) are keys k with what was learnt for each, a shift v in
the same space. A text with the general vector m looks up its nearest keys:

    a = softmax over keys of cos(m, k) / sharpness, beside a sink with the logit sink / sharpness
    vector = unit(m + Σ a v)

This is attention over a memory (Nadaraya and Watson's kernel regression, 1964), with a sink that takes the weight where
nothing is near: a known title gets its own shift, a new title like known ones a blend of theirs, and a text unlike all
of them stays where the general encoder put it. So what the general encoder knows of anything else is kept.

::

    DIR/
      shop_memory.json         the general encoder it was learnt over, and the figures above
      shop_memory.safetensors  keys (n, d) and shifts (n, d) in half precision
      training.json            how it was learnt; no part of the encoder
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.encoders.encoder import unit_rows
from index.errors import EncoderUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from index.encoders.encoder import Vectors

__all__ = ["MEMORY_ARRAYS", "MEMORY_RECORD", "MemoryRecord", "ShopMemory", "nearest_keys"]

MEMORY_RECORD: Final = "shop_memory.json"
MEMORY_ARRAYS: Final = "shop_memory.safetensors"

_BLOCK: Final = 512


class MemoryRecord(BaseModel):
    """What stands beside the arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=1, ge=1, le=1, description="Of the folder.")
    base: str | None = Field(description="Folder of the general encoder; null for the packaged one.")
    base_fingerprint: str = Field(description="Its fingerprint.")
    sharpness: float = Field(
        gt=0, description="Divides the cosines; smaller lets the nearest key count alone."
    )
    sink: float = Field(description="Cosine from which a key outweighs having none.")
    nearest: int = Field(ge=1, description="Keys that a text looks up.")
    digest: str = Field(description="SHA-256 of the learnt numbers.")


@dataclass(frozen=True, slots=True)
class ShopMemory:
    """The memory, ready to be laid over vectors.

    Attributes:
        keys: (n, d) the general vectors of the known texts.
        shifts: (n, d) what was learnt for each.
        record: The other figures.
    """

    keys: Vectors
    shifts: Vectors
    record: MemoryRecord

    def lay_over(self, vectors: Vectors) -> Vectors:
        """The vectors (m, d) of the shop's encoder for the general encoder's, both of unit length."""
        out = np.empty_like(vectors)
        for start in range(0, len(vectors), _BLOCK):
            part = vectors[start : start + _BLOCK]
            where, cosines = nearest_keys(part, self.keys, self.record.nearest)
            weights = _attention(cosines, self.record.sharpness, self.record.sink)
            out[start : start + _BLOCK] = part + np.einsum("mk,mkd->md", weights, self.shifts[where])
        return unit_rows(out)

    def reading(self, which: npt.NDArray[np.int64], vectors: Vectors) -> ShopMemory:
        """The same memory that also knows other readings of its texts, and gives them the vectors of those.

        Args:
            which: (m,) the text that each reading is of.
            vectors: (m, d) the general encoder's of the readings, such as title with brand and category.
        """
        shifts = self.keys[which] + self.shifts[which] - vectors
        return ShopMemory(
            np.concatenate([self.keys, vectors]), np.concatenate([self.shifts, shifts]), self.record
        )

    @classmethod
    def read_record(cls, folder: Path) -> MemoryRecord:
        """What the memory in a folder was learnt over.

        Raises:
            EncoderUnavailableError: If the record cannot be read.
        """
        path = folder / MEMORY_RECORD
        try:
            return MemoryRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise EncoderUnavailableError(
                f"{path} is no readable record of a shop's encoder ({str(error).splitlines()[0]}).",
                way_out="Train it again: `nearline encoder train`.",
            ) from error

    @classmethod
    def open(cls, folder: Path, *, fingerprint: str) -> ShopMemory:
        """Read what `save` wrote.

        Args:
            folder: Where it is.
            fingerprint: Of the general encoder that it is about to be laid over.

        Raises:
            EncoderUnavailableError: If a file is missing, cut short or altered, or the general encoder is another one.
        """
        record = cls.read_record(folder)
        if record.base_fingerprint != fingerprint:
            raise EncoderUnavailableError(
                f"The encoder in {folder} was trained over another general encoder than the one that is here.",
                way_out="Install that one, or train again: `nearline encoder train`.",
            )
        path = folder / MEMORY_ARRAYS
        try:
            from safetensors.numpy import load_file  # noqa: PLC0415 - comes with the `local` extra

            arrays = load_file(path)
            keys, shifts = arrays["keys"], arrays["shifts"]
        except ImportError as error:
            raise EncoderUnavailableError(
                "A shop's encoder needs safetensors.", way_out="Install nearline[local]."
            ) from error
        except Exception as error:
            raise _damaged(path, str(error)) from error
        if keys.shape != shifts.shape or keys.ndim != 2 or digest(keys, shifts) != record.digest:
            raise _damaged(path, "its numbers are not those that were written")
        return cls(keys.astype(np.float32), shifts.astype(np.float32), record)

    def save(self, folder: Path, training: dict[str, Any]) -> None:
        """Write the three files into a folder that exists.

        Args:
            folder: The folder.
            training: What to tell of how it was learnt.

        Raises:
            OSError: If they cannot be written.
        """
        from safetensors.numpy import save_file  # noqa: PLC0415 - comes with the `local` extra

        keys, shifts = self.keys.astype(np.float16), self.shifts.astype(np.float16)
        record = self.record.model_copy(update={"digest": digest(keys, shifts)})
        save_file({"keys": keys, "shifts": shifts}, folder / MEMORY_ARRAYS)
        (folder / MEMORY_RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        text = json.dumps(training, indent=2, ensure_ascii=False)
        (folder / "training.json").write_text(text + "\n", encoding="utf-8")


def nearest_keys(
    vectors: Vectors, keys: Vectors, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Of each row of (m, d) the ``count`` keys with the largest inner product, in no order, and those products."""
    count = min(count, len(keys))
    cosines = vectors @ keys.T
    if count == len(keys):
        where = np.broadcast_to(np.arange(count), cosines.shape)
    else:
        where = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    return where.astype(np.int64), np.take_along_axis(cosines, where, axis=1)


def digest(keys: npt.NDArray[np.float16], shifts: npt.NDArray[np.float16]) -> str:
    """SHA-256 over the two arrays."""
    from hashlib import sha256  # noqa: PLC0415 - only where one is written or opened

    total = sha256(np.ascontiguousarray(keys).tobytes())
    total.update(np.ascontiguousarray(shifts).tobytes())
    return total.hexdigest()


def _attention(cosines: npt.NDArray[np.float32], sharpness: float, sink: float) -> npt.NDArray[np.float32]:
    """(m, k) the weights of the keys; what is missing to 1 is the sink's."""
    logits = cosines / sharpness
    none = sink / sharpness
    top = np.maximum(logits.max(axis=1, keepdims=True), none)
    raised = np.exp(logits - top)
    weights: npt.NDArray[np.float32] = raised / (raised.sum(axis=1, keepdims=True) + np.exp(none - top))
    return weights


def _damaged(path: Path, why: str) -> EncoderUnavailableError:
    return EncoderUnavailableError(
        f"{path} cannot be read: {why}.", way_out="Train it again: `nearline encoder train`."
    )
