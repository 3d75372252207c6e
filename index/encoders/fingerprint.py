"""What tells two encoders apart.

A local model is its files: the SHA-256 over the names and contents of weights, configuration and tokenizer. A
server shows no files, so it is known by its model's name and by the vector it gives a probe text. That vector
moves in its last digits with the server's batch and hardware, and so is compared, not hashed: an
int8 sketch of it is in the fingerprint, and two sketches of one model agree to a cosine of 0.995.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from index.encoders.encoder import Vectors

__all__ = ["PROBE", "model_fingerprint", "same_encoder", "server_fingerprint"]

PROBE: Final = "a red wool scarf, size 42, for a cold morning"

_AGREE: Final = 0.995
_NAMES: Final = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")
_NO_PART: Final = frozenset({"data_config.json", "README.txt", "training.json"})


def model_fingerprint(folder: Path) -> str:
    """``sha256:...`` over the files of a local model; read once for each state of the files."""
    files = sorted(
        {file for pattern in _NAMES for file in folder.rglob(pattern) if file.name not in _NO_PART}
    )
    state = tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return _hash(folder, state)


@lru_cache(maxsize=8)
def _hash(folder: Path, state: tuple[tuple[Path, int, int], ...]) -> str:
    total = hashlib.sha256()
    for file, size, _ in state:
        total.update(f"{file.relative_to(folder).as_posix()}\0{size}\0".encode())
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256:{total.hexdigest()}"


def server_fingerprint(model: str, probe: Vectors) -> str:
    """``server:MODEL:SKETCH`` from the model's name and the vector (d,) of the probe text."""
    sketch = np.round(probe / max(float(np.abs(probe).max()), 1e-12) * 127).astype(np.int8)
    return f"server:{model}:{base64.urlsafe_b64encode(sketch.tobytes()).decode()}"


def same_encoder(one: str, other: str) -> bool:
    """Whether vectors made under the two fingerprints may be compared with each other."""
    if one == other:
        return True
    if not (one.startswith("server:") and other.startswith("server:")):
        return False
    (model, _, sketch), (other_model, _, other_sketch) = one.rpartition(":"), other.rpartition(":")
    if model != other_model:
        return False
    a, b = _unsketch(sketch), _unsketch(other_sketch)
    if a is None or b is None or a.shape != b.shape:
        return False
    return float(a @ b) >= _AGREE * float(np.linalg.norm(a) * np.linalg.norm(b))


def _unsketch(sketch: str) -> Vectors | None:
    try:
        return np.frombuffer(base64.b64decode(sketch, altchars=b"-_", validate=True), dtype=np.int8).astype(
            np.float32
        )
    except ValueError:
        return None
