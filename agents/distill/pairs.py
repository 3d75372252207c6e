"""Pairs to learn from: what a shopper had at a moment, and what a teacher says they want.

A folder with three files, so that anybody's teacher can write them:

==================  ==================================================================================
``phrases.jsonl``   one catalogue phrase a line: ``{"phrase": "party bunting", "sold": 812}``
``pairs.jsonl.gz``  ``{"had": [3, 17], "wants": [5, 9], "weights": [0.7, 0.3]}``: lines of ``phrases.jsonl`` from 0;
                    ``had`` from the oldest to the newest, ``weights`` above 0
``manifest.json``   what the pairs were made from; kept with the student
==================  ==================================================================================

What a shopper had is never among what they want.
"""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from agents.distill.form import phrases
from agents.errors import DistillError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["FEWEST", "Pair", "Pairs", "read_pairs", "usual_shares", "write_pairs"]

FEWEST: Final = 200
"""Below so many pairs a student learns the shop's most sold titles and nothing of its shoppers."""

_AGAIN: Final = "Make the pairs again with `nearline distill prepare`."


class Pair(msgspec.Struct, frozen=True):
    """One example; the numbers are those of the phrases."""

    had: tuple[int, ...]
    wants: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """All examples as arrays.

    Attributes:
        phrases: The catalogue's phrases.
        sold: (phrases,) how often each was sold.
        had: (total,) the histories, one after another.
        starts: (pairs + 1,) where each history begins.
        wants: (pairs, n) phrases wanted, -1 where there are no more.
        weights: (pairs, n) adding up to 1 in each row.
        manifest: What the folder says of itself.
    """

    phrases: tuple[str, ...]
    sold: npt.NDArray[np.float64]
    had: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    wants: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    manifest: dict[str, Any]

    def __len__(self) -> int:
        return len(self.wants)

    def history(self, pair: int) -> npt.NDArray[np.int64]:
        """The phrases that the shopper of a pair had, oldest first."""
        return self.had[self.starts[pair] : self.starts[pair + 1]]


def write_pairs(folder: Path, sold: dict[str, int], pairs: Iterable[Pair], manifest: dict[str, Any]) -> int:
    """Write a folder of pairs; returns how many.

    Args:
        folder: Made if missing.
        sold: By phrase how often it was sold, in the order of the pairs' numbers.
        pairs: The examples.
        manifest: What they were made from; JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "phrases.jsonl").open("w", encoding="utf-8") as lines:
        for phrase, count in sold.items():
            lines.write(json.dumps({"phrase": phrase, "sold": count}, ensure_ascii=False) + "\n")
    many = 0
    encoder = msgspec.json.Encoder()
    # A fixed time in the header, so that the same pairs are the same bytes.
    with (
        (folder / "pairs.jsonl.gz").open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=3, mtime=0, filename="") as out,
    ):
        for pair in pairs:
            out.write(encoder.encode(pair) + b"\n")
            many += 1
    text = json.dumps({**manifest, "pairs": many, "phrases": len(sold)}, indent=2, ensure_ascii=False)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
    return many


def read_pairs(folder: Path) -> Pairs:
    """Read a folder of pairs.

    Raises:
        DistillError: naming the file, the line and what was expected; or that there are too few pairs.
    """
    names, sold = _phrases(folder / "phrases.jsonl")
    manifest = _manifest(folder / "manifest.json")
    path = folder / "pairs.jsonl.gz"
    decoder = msgspec.json.Decoder(Pair)
    found: list[Pair] = []
    try:
        with gzip.open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    pair = decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise DistillError(f"{path}, line {number}: {error}.", way_out=_AGAIN) from error
                problem = _problem(pair, len(names))
                if problem:
                    raise DistillError(f"{path}, line {number}: {problem}.", way_out=_AGAIN)
                found.append(pair)
    except (OSError, EOFError) as error:
        raise DistillError(f"{path} cannot be read ({error}).", way_out=_AGAIN) from error
    if len(found) < FEWEST:
        raise DistillError(
            f"{folder} has {len(found)} pairs; a student needs at least {FEWEST} to learn more than the bestsellers.",
            way_out="Give a longer log, or a later cutoff.",
        )
    most = max(len(pair.wants) for pair in found)
    wants = np.full((len(found), most), -1, dtype=np.int64)
    weights = np.zeros((len(found), most), dtype=np.float32)
    for at, pair in enumerate(found):
        wants[at, : len(pair.wants)] = pair.wants
        weights[at, : len(pair.wants)] = pair.weights
    weights /= weights.sum(axis=1, keepdims=True)
    starts = np.cumsum([0, *(len(pair.had) for pair in found)])
    had = np.fromiter((one for pair in found for one in pair.had), dtype=np.int64, count=int(starts[-1]))
    return Pairs(names, sold, had, starts, wants, weights, manifest)


def usual_shares(pairs: Pairs) -> npt.NDArray[np.float64]:
    """(phrases,) the mean share of each phrase in what is wanted: what everybody wants, whoever they are."""
    there = pairs.wants >= 0
    total = np.bincount(pairs.wants[there], pairs.weights[there], minlength=len(pairs.phrases))
    shares: npt.NDArray[np.float64] = total / len(pairs)
    return shares


def _phrases(path: Path) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    names: dict[str, float] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    phrase, count = row["phrase"], float(row["sold"])
                except (ValueError, KeyError, TypeError) as error:
                    raise DistillError(
                        f'{path}, line {number}: expected {{"phrase": text, "sold": number}}, got {line[:80]!r}.',
                        way_out=_AGAIN,
                    ) from error
                if not isinstance(phrase, str) or list(phrases([phrase])) != [phrase] or phrase in names:
                    raise DistillError(
                        f"{path}, line {number}: {str(phrase)[:80]!r} is no phrase (small letters, digits and -'&/+.% "
                        "only) or is there twice.",
                        way_out=_AGAIN,
                    )
                names[phrase] = count
    except (OSError, UnicodeDecodeError) as error:
        raise DistillError(f"{path} cannot be read ({error}).", way_out=_AGAIN) from error
    return tuple(names), np.array(list(names.values()))


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DistillError(f"{path} cannot be read ({error}).", way_out=_AGAIN) from error
    return manifest


def _problem(pair: Pair, many: int) -> str:
    if not pair.had or not pair.wants or len(pair.wants) != len(pair.weights):
        return "expected some `had`, some `wants` and as many `weights`"
    if not all(0 <= one < many for one in (*pair.had, *pair.wants)):
        return f"expected numbers of phrases from 0 to {many - 1}"
    if set(pair.had) & set(pair.wants) or len(set(pair.wants)) != len(pair.wants):
        return "a phrase is wanted twice, or wanted though the shopper has it"
    if not all(math.isfinite(weight) and weight > 0 for weight in pair.weights):
        return "expected weights above 0"
    return ""
