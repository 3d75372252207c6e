"""Gemma's tokenizer cut to a shop: the pieces that its catalogue needs, and pieces that join them.

Gemma's 262,144 pieces are most of its weights, and a shop's titles use some thousand of them. What is kept splits the
catalogue's phrases as Gemma does: every piece that comes up on the way from the letters to a phrase's pieces stays, with the
merge that makes it, in Gemma's order. Other words are split into smaller pieces, at the worst into bytes. Then pieces are
joined up to whole titles, as `agents.distill.tokenizer` does for the compact student, because a model of this size takes its
time for every token it reads.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tokenizers import Tokenizer, decoders, models, normalizers

from agents.distill.form import END, FIXED, PAD, START
from agents.distill.tokenizer import counts, joined, with_form
from agents.errors import DistillError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["cut_tokenizer", "rows_of"]

SPACE: Final = "\u2581"
_UNKNOWN: Final = "<unk>"
# Gemma begins every text with <bos>, and attention rests on it; a student's texts begin with START.
_SAME: Final = {PAD: "<pad>", END: "<eos>", START: "<bos>"}
_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")
_WORD: Final = re.compile(f"{SPACE}[a-z]+")
_LETTERS: Final = frozenset(f"abcdefghijklmnopqrstuvwxyz0123456789-'&/+.%{SPACE}")


def cut_tokenizer(whole: Tokenizer, phrases: Mapping[str, float], *, commonest: int, more: int) -> Tokenizer:
    """Cut a tokenizer to a shop.

    Args:
        whole: Gemma's.
        phrases: By phrase of the catalogue how often it was sold.
        commonest: So many of the commonest words are kept beside those of the phrases.
        more: Most pieces that join others.

    Raises:
        DistillError: if the tokenizer is no Gemma's.
    """
    model: dict[str, Any] = json.loads(whole.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    if (
        model["type"] != "BPE"
        or not model.get("byte_fallback")
        or not {_UNKNOWN, *_SAME.values()} <= set(vocabulary)
    ):
        raise DistillError(
            "the model's tokenizer is none of Gemma 3's.",
            way_out="Name gemma3-270m, or a folder of a Gemma 3.",
        )
    ranks = {(left, right): rank for rank, (left, right) in enumerate(model["merges"])}
    # Ids of byte-pair vocabularies run from the commonest merge to the rarest.
    words = sorted((number, piece) for piece, number in vocabulary.items() if _WORD.fullmatch(piece))[
        :commonest
    ]
    texts = [*(phrase.replace(" ", SPACE) for phrase in phrases), *(piece for _, piece in words)]
    kept = _on_the_way(texts, ranks) | _LETTERS | {piece for piece in vocabulary if _BYTE.fullmatch(piece)}
    ordered = [PAD, _UNKNOWN, *sorted(kept & vocabulary.keys(), key=vocabulary.__getitem__)]
    merges = [pair for pair in ranks if pair[0] in kept and pair[1] in kept and pair[0] + pair[1] in kept]
    inner = _gemma_like(
        models.BPE(
            vocab={piece: number for number, piece in enumerate(ordered)},
            merges=merges,
            unk_token=_UNKNOWN,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    return with_form(_gemma_like(joined(inner, counts(phrases), len(ordered) + more)) if more else inner)


def rows_of(tokenizer: Tokenizer, whole: Tokenizer) -> list[list[int]]:
    """For each piece of a cut tokenizer the pieces of the whole one that its row begins as the mean of.

    Args:
        tokenizer: As `cut_tokenizer` made it from the whole one.
        whole: Gemma's.
    """
    known: dict[str, int] = whole.get_vocab()
    form = set(FIXED)
    rows = []
    for number in range(tokenizer.get_vocab_size()):
        piece = str(tokenizer.id_to_token(number))
        same = _SAME.get(piece, piece)
        if same in known and (piece in _SAME or piece not in form):
            rows.append([known[same]])
        else:
            text = piece if piece in form else piece.replace(SPACE, " ")
            rows.append(whole.encode(text, add_special_tokens=False).ids)
    return rows


def _gemma_like(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def _on_the_way(texts: Iterable[str], ranks: Mapping[tuple[str, str], int]) -> set[str]:
    """Every piece that comes up when byte-pair encoding splits the texts, letters included."""
    never = len(ranks)
    found: set[str] = set()
    for text in texts:
        pieces = list(text)
        found.update(pieces)
        while len(pieces) > 1:
            order = [ranks.get(pair, never) for pair in pairwise(pieces)]
            best = min(order)
            if best == never:
                break
            at = order.index(best)
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
            found.add(pieces[at])
    return found
