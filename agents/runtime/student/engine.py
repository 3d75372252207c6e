"""The loaded student: questions in, phrases of the catalogue out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tokenizers import Tokenizer

from agents.distill.form import BETWEEN, CLOSE, OPEN, phrases
from agents.distill.tokenizer import piece, words_only
from agents.errors import ModelError
from agents.runtime.student.layers import Layers
from agents.runtime.student.search import Ask, Search
from agents.runtime.student.trie import ROOT, Trie
from agents.words import normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["KNOWN", "NEW", "Engine", "Question", "Written"]

KNOWN: Final = 0
"""A phrase that the student was trained on."""
NEW: Final = 1
"""A phrase that came into the catalogue later."""

# So many times the phrases wanted are searched before they are ordered by what is personal.
_WIDER: Final = 4.0
_LEAST_SHARE: Final = 1e-5
# Of the student's context so many tokens are for what it writes.
_ROOM: Final = 128

_FILES: Final = ("config.json", "model.safetensors", "tokenizer.json", "phrases.tsv", "student.json")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for one shopper.

    Attributes:
        text: The whole text up to the first phrase of the answer.
        known: How many phrases are wanted of those that the student was trained on.
        new: How many of those that came later.
        banned: Phrases not to be written, such as titles just bought, as `agents.words.normal` has them.
        personal: How much of what everybody wants is taken away. Of the phrases that the student knows, those are
            written whose log p - personal x log (share of the phrase in all that was wanted) is largest, as in maximum
            mutual information decoding (Li and others, "A Diversity-Promoting Objective Function for Neural
            Conversation Models", NAACL 2016); they are ordered by p.
        deadline: ``time.monotonic`` seconds.
    """

    text: str
    known: int
    new: int = 0
    banned: frozenset[str] = frozenset()
    personal: float = 0.0
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a question.

    Attributes:
        phrases: The phrases, the likeliest first; new ones stand among the known ones by their rank.
        probabilities: Of each, among all phrases of its kind.
        read: Tokens of the question.
        fed: Tokens read while writing.
        late: Whether the deadline ended it.
    """

    phrases: tuple[str, ...]
    probabilities: tuple[float, ...]
    read: int
    fed: int
    late: bool


@dataclass(frozen=True, slots=True)
class _Offered:
    """What may be written.

    Attributes:
        trie: The phrases.
        common: (phrases,) log share of each in all that was wanted.
        alike: By normal form the numbers of phrases.
        phrase_of: By title its phrase.
    """

    trie: Trie
    common: npt.NDArray[np.float64]
    alike: dict[str, list[int]]
    phrase_of: dict[str, str]


class Engine:
    """A student with the phrases it may write. Several threads may have it write at once."""

    def __init__(self, folder: Path) -> None:
        """Load (a second, after torch).

        Raises:
            ModelError: the folder is no student.
        """
        missing = [file for file in _FILES if not (folder / file).is_file()]
        if missing:
            raise ModelError(
                f"{folder} is no student: {', '.join(missing)} missing.",
                way_out="Name a folder that `nearline distill train` wrote.",
            )
        self._folder = folder
        try:
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._layers = Layers.load(folder)
            self.facts: dict[str, Any] = json.loads((folder / "student.json").read_text(encoding="utf-8"))
            rows = (folder / "phrases.tsv").read_text(encoding="utf-8").splitlines()
            self._usual = {phrase: float(share) for phrase, share in (row.split("\t") for row in rows)}
        except ModelError:
            raise
        except Exception as error:
            # Tokenizers raise plain Exception; whatever it is, the folder cannot be used.
            raise ModelError(
                f"the student in {folder} cannot be loaded: {error}.", way_out="Train it again."
            ) from error
        ends = (piece(self.tokenizer, BETWEEN), piece(self.tokenizer, CLOSE))
        self._search = Search(self._layers, ends)
        self._apart = words_only(self.tokenizer)
        self._offered = _Offered(Trie({}), np.zeros(0), {}, {})

    @property
    def known(self) -> tuple[str, ...]:
        """The phrases that the student was trained on."""
        return tuple(self._usual)

    @property
    def trie(self) -> Trie:
        """The phrases that may be written now."""
        return self._offered.trie

    @property
    def new(self) -> int:
        """How many phrases may be written that the student was not trained on."""
        return int(self._offered.trie.counts[NEW:, ROOT].sum())

    def usual(self, most: int) -> list[str]:
        """The ``most`` phrases of the largest share in all that was wanted, of those that may be written."""
        offered = self._offered
        order = np.argsort(-offered.common, kind="stable")[:most]
        return [offered.trie.phrases[at] for at in order.tolist()]

    def offer(self, titles: Iterable[str], *, longest: int = 10_000) -> None:
        """Let these titles be written from the next batch on, and no others; not from several threads at once.

        Phrases that the student knows are spelt as it learnt them. Others are spelt by their words, as it saw every
        title now and then, because as a whole they have no token.

        Args:
            titles: Titles of the catalogue as they are.
            longest: Phrases of more characters are left out.
        """
        before, own = self._offered, dict.fromkeys(titles)
        # Most titles were there before a change of the catalogue, and need not be read again.
        phrase_of = {
            title: found
            if (found := before.phrase_of.get(title)) is not None
            else next(iter(phrases([title])), "")
            for title in own
        }
        offered = [one for one in dict.fromkeys(phrase_of.values()) if one and len(one) <= longest]
        if offered == [*before.trie.phrases]:
            self._offered = _Offered(before.trie, before.common, before.alike, phrase_of)
            return
        spelt: dict[str, Sequence[int]] = dict.fromkeys(offered, ())
        for way, known in ((self.tokenizer, True), (self._apart, False)):
            fresh = []
            for phrase in offered:
                if (phrase in self._usual) is not known:
                    continue
                number = before.trie.number.get(phrase)
                if number is None:
                    fresh.append(phrase)
                else:
                    spelt[phrase] = before.trie.spelt[number]
            spelt |= {phrase: one.ids for phrase, one in zip(fresh, way.encode_batch(fresh), strict=True)}
        trie = Trie(spelt, [KNOWN if phrase in self._usual else NEW for phrase in spelt])
        common = np.log([self._usual.get(phrase, 0.0) + _LEAST_SHARE for phrase in trie.phrases])
        alike: dict[str, list[int]] = {}
        for phrase, number in trie.number.items():
            alike.setdefault(normal(phrase), []).append(number)
        self._offered = _Offered(trie, common, alike, phrase_of)

    def write(self, questions: Sequence[Question]) -> list[Written]:
        """Answer a batch."""
        offered = self._offered  # another thread may put others in its place meanwhile
        trie = offered.trie
        read = [self._ids(one.text) for one in questions]
        asks = [
            Ask(
                ids,
                {KNOWN: round((_WIDER if one.personal else 1.0) * one.known), NEW: one.new},
                frozenset(at for phrase in one.banned for at in offered.alike.get(phrase, ())),
                one.deadline,
            )
            for ids, one in zip(read, questions, strict=True)
        ]
        written = []
        for one, ids, found in zip(questions, read, self._search(trie, asks), strict=True):
            known = _personal(offered.common, found.phrases.get(KNOWN, []), one.personal, one.known)
            ranked = _spread(known, found.phrases.get(NEW, []))
            written.append(
                Written(
                    tuple(trie.phrases[phrase] for phrase, _ in ranked),
                    tuple(float(np.exp(score)) for _, score in ranked),
                    len(ids),
                    found.fed,
                    found.late,
                )
            )
        return written

    def _ids(self, text: str) -> list[int]:
        """The tokens of a question; of one that the student has no room for, the beginning and the newest."""
        ids: list[int] = self.tokenizer.encode(text).ids
        room = self._layers.longest - _ROOM
        return ids if len(ids) <= room else [ids[0], *ids[1 - room :]]

    def write_freely(self, texts: Sequence[str], *, tokens: int = 120) -> list[str]:
        """What the student writes after each text, opening included, by greedy decoding over its whole vocabulary.

        Args:
            texts: Questions up to the opening of the answer, which each must end with.
            tokens: Most tokens of an answer.
        """
        import torch  # noqa: PLC0415
        from transformers import AutoModelForCausalLM  # noqa: PLC0415  # seconds, and serving does without it

        model: Any = AutoModelForCausalLM.from_pretrained(
            self._folder, dtype=torch.float32, local_files_only=True
        ).eval()
        answers = []
        for text in texts:
            ids = torch.tensor([self.tokenizer.encode(text.removesuffix(OPEN)).ids])
            with torch.inference_mode():
                out = model.generate(
                    input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False
                )
            answers.append(self.tokenizer.decode(out[0, ids.shape[1] :].tolist(), skip_special_tokens=True))
        return answers


def _personal(
    common: npt.NDArray[np.float64], found: list[tuple[int, float]], personal: float, wanted: int
) -> list[tuple[int, float]]:
    """The ``wanted`` most personal of the likeliest, in the order of their probabilities."""
    if not personal or len(found) <= wanted:
        return found[:wanted]
    numbers, scores = (np.array(part) for part in zip(*found, strict=True))
    chosen = np.argsort(personal * common[numbers] - scores, kind="stable")[:wanted]
    return [found[at] for at in sorted(chosen.tolist())]


def _spread(known: list[tuple[int, float]], new: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Both lists in one, the new ones at even distances; each list keeps its order."""
    places = [((at + 1) / (len(known) + 1), 0, one) for at, one in enumerate(known)]
    places += [((at + 1) / (len(new) + 1), 1, one) for at, one in enumerate(new)]
    return [one for *_, one in sorted(places, key=lambda place: place[:2])]
