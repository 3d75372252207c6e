"""How many tokens a text takes: estimated without a tokenizer, or counted with a model's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agents.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["counter", "estimate"]

# Runs of letters by script, single digits, and any other mark; spaces join the word behind them.
_PIECE = re.compile(r"[A-Za-z]+|[^\W\d_]|[^\S ]| {2,}|[^A-Za-z ]")
_LETTERS = 5


def estimate(text: str) -> int:
    """About how many tokens a text takes, on the high side.

    Digits and marks are one each, Latin words one for every five letters begun, other scripts one a letter.
    """
    total = 0
    for piece in _PIECE.findall(text):
        total += -(-len(piece) // _LETTERS) if piece.isascii() and piece.isalpha() else 1
    return total


def counter(tokenizer: Path) -> Callable[[str], int]:
    """A counter by the tokenizer of a model (its ``tokenizer.json``), without the token that begins a text.

    Raises:
        ModelError: the file is no tokenizer, or the package ``tokenizers`` is not installed.
    """
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415  # comes with nearline[local]
    except ImportError as error:
        raise ModelError(
            "tokens cannot be counted without the package tokenizers.", way_out="Install nearline[local]."
        ) from error
    try:
        loaded = Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # the library raises bare Exception for every fault of the file
        raise ModelError(
            f"{tokenizer}: no tokenizer can be read ({error}).", way_out="Name a model's tokenizer.json."
        ) from error
    return lambda text: len(loaded.encode(text, add_special_tokens=False))
