"""The pieces that the model may write.

Gemma's output layer has 262,144 rows, more weights than all its layers together, and most of them
are for scripts and code that no search query needs. Only the output is cut: whatever stands in a
title is still read in full.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Vocabulary", "choose"]

# No digits: a small model runs away with them (sizes, pack counts, years), and a demand has no use for any.
_QUERY_PIECE = re.compile(r" ?[a-z]+|[-&']| ")
# One token for what stands between two queries and one for what ends them; where a tokenizer lacks
# them, the characters they are made of.
_JOINTS = ('","', '"]}')
_JOINT_CHARACTERS = ('"', ",", "]", "}")
_SPACES = str.maketrans({"\u2581": " ", "\u0120": " "})


@dataclass(frozen=True)
class Vocabulary:
    """Kept token ids, ascending, and the text that each writes."""

    ids: tuple[int, ...]
    texts: tuple[str, ...]


def choose(tokenizer: Any, commonest: int, words: Iterable[str] = ()) -> Vocabulary:
    """The ``commonest`` lower-case pieces of a tokenizer, the pieces of ``words``, and JSON's joints.

    Ids of byte-pair vocabularies run from the commonest merge to the rarest, so the lowest are kept.
    """
    texts = {index: piece.translate(_SPACES) for piece, index in tokenizer.get_vocab().items()}
    wordlike = {index for index, text in texts.items() if _QUERY_PIECE.fullmatch(text)}
    single = {index for index in wordlike if len(texts[index].strip()) <= 1}
    kept = set(sorted(wordlike - single)[:commonest]) | single
    asked = sorted({word for text in words for word in re.findall(r"[a-z]+", text.casefold())})
    for encoding in tokenizer.encode_batch(
        [form for word in asked for form in (word, f" {word}")], add_special_tokens=False
    ):
        kept.update(wordlike.intersection(encoding.ids))
    by_text = {text: index for index, text in texts.items()}
    joints = _JOINTS if all(joint in by_text for joint in _JOINTS) else _JOINT_CHARACTERS
    ids = sorted(kept | {by_text[joint] for joint in joints if joint in by_text})
    return Vocabulary(tuple(ids), tuple(texts[index] for index in ids))
