"""A tokenizer of the shop's own words and phrases.

Byte-pair encoding (Sennrich, Haddow and Birch, ACL 2016) in two stages. The first stays within words; the second
joins the words that the catalogue uses together, up to whole titles of what is sold most ("superword" pieces, as in
Liu and others, "SuperBPE: Space Travel for Language Models", 2025). A title that sells is then one or two tokens, so
that forty of them are a short text, and a title that nobody has seen is made of words that were.

Both stages end up in one plain BPE file: the merges of words come first, so that they are all done before words are
joined. Any library that reads ``tokenizer.json`` reads it.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from agents.distill.form import END, FIXED, PAD
from agents.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["counts", "joined", "piece", "train_tokenizer", "with_form", "words_only"]

# Letters for the second stage, one for each token of the first: a plane of Unicode that nobody writes.
_PRIVATE: Final = 0xF0000
_LEAST: Final = 2
_SPACES: Final = frozenset("\u0120\u2581")


def train_tokenizer(phrases: Mapping[str, float], *, words: int, size: int) -> Tokenizer:
    """Learn a tokenizer from a catalogue.

    Args:
        phrases: By phrase how often it was sold; it counts 1 + log2(1 + sold).
        words: Most pieces of words.
        size: Most pieces in all.
    """
    counted = counts(phrases)
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(" "), "merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    # By phrases and not by sales: a word that many titles share is what new titles are made of.
    inner.train_from_iterator(
        [phrase for phrase, _ in counted], _trainer(words, pre_tokenizers.ByteLevel.alphabet())
    )
    tokenizer = Tokenizer(joined(inner, counted, size))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return with_form(tokenizer)


def counts(phrases: Mapping[str, float]) -> list[tuple[str, int]]:
    """Each phrase with how often it counts: 1 + log2(1 + sold)."""
    return [(phrase, 1 + round(math.log2(1 + max(sold, 0.0)))) for phrase, sold in phrases.items()]


def joined(inner: Tokenizer, counted: Sequence[tuple[str, int]], size: int) -> models.BPE:
    """The second stage: a tokenizer's pieces and, after them, what joins those that stand together in phrases.

    Args:
        inner: The tokenizer of the first stage.
        counted: Phrases, each with how often it counts.
        size: Most pieces in all.
    """
    first = json.loads(inner.to_str())["model"]
    pieces = {number: piece for piece, number in first["vocab"].items()}
    texts = [
        "".join(chr(_PRIVATE + number) for number in encoding.ids)
        for encoding in inner.encode_batch([phrase for phrase, _ in counted], add_special_tokens=False)
    ]
    outer = Tokenizer(models.BPE())
    outer.train_from_iterator(
        (text for text, (_, times) in zip(texts, counted, strict=True) for _ in range(times)),
        _trainer(size, []),
    )
    second = json.loads(outer.to_str())["model"]

    def plain(piece: str) -> str:
        return "".join(pieces[ord(letter) - _PRIVATE] for letter in piece)

    merges = [tuple(pair) for pair in first["merges"]]
    vocabulary = dict(first["vocab"])
    for left, right in second["merges"]:
        pair = (plain(left), plain(right))
        if len(vocabulary) >= size:
            break
        if pair[0] + pair[1] not in vocabulary:
            vocabulary[pair[0] + pair[1]] = len(vocabulary)
            merges.append(pair)
    rest = {
        "unk_token": first["unk_token"],
        "fuse_unk": first["fuse_unk"],
        "byte_fallback": first["byte_fallback"],
    }
    return models.BPE(vocab=vocabulary, merges=merges, **{name: one for name, one in rest.items() if one})


def piece(tokenizer: Tokenizer, text: str) -> int:
    """The id of a text that is one token.

    Raises:
        ModelError: if the tokenizer has no such token, and so is none of a student.
    """
    number = tokenizer.token_to_id(text)
    if number is None:
        raise ModelError(
            f"the tokenizer has no token {text!r}.",
            way_out="Name a folder that `nearline distill train` wrote.",
        )
    return number


def words_only(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer without the joining of words: the pieces of a title that nobody has seen as a whole."""
    whole: dict[str, Any] = json.loads(tokenizer.to_str())
    # A space is one of the letters below, byte-level's and Gemma's; inside a word it can only come first.
    whole["model"]["merges"] = [
        pair for pair in whole["model"]["merges"] if not _SPACES.intersection((pair[0] + pair[1])[1:])
    ]
    return Tokenizer.from_str(json.dumps(whole))


def with_form(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with one token for each piece of the form (`agents.distill.form`)."""
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=text in (PAD, END)) for text in FIXED])
    return tokenizer


def _trainer(size: int, alphabet: Sequence[str]) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=size, min_frequency=_LEAST, show_progress=False, initial_alphabet=list(alphabet)
    )
