"""Searches that the shop does not understand, in the words of its catalogue.

A search of which the catalogue has no word is looked at word by word: one that is a slip away from exactly one word of the catalogue
is that word. A slip is a letter too many, too few, another, or two that changed places (Damerau, "A technique for computer
detection and correction of spelling errors", Communications of the ACM 7, 1964); in words of eight letters or more it may be two,
as far as leaving out one letter on either side makes both words the same. Candidates are found by these words with one
letter left out (the symmetric deletion of Garbe's SymSpell), so a look-up costs some ten reads of a dictionary whatever the
catalogue's size.

Left as they are: words of fewer than five letters, which are near too many others; words with digits, which name models and sizes;
another first letter, which is seldom a slip; and scripts in which a character is a word or a syllable, where the nearest is
another thing. A search in a language that the catalogue does not speak is near none of its words and stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agents.words import words, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Spelling"]

_SHORTEST: Final = 5
_TWO_SLIPS: Final = 8
# Nobody types a longer word; pasted text is no slip.
_LONGEST: Final = 24
_MOST_WORDS: Final = 8


class Spelling:
    """The words of a catalogue. Adding and mending may go on in different threads.

    Args:
        texts: Titles, brands, categories.

    >>> Spelling(["Vintage Tea Pot", "Lantern"]).mend("vintge lantren")
    'vintage lantern'
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._known: dict[str, str] = {}
        # By a word less one letter: the words that it may be, one as it is and several as a tuple.
        self._near: dict[str, str | tuple[str, ...]] = {}
        self.add(texts)

    def __len__(self) -> int:
        return len(self._known)

    def add(self, texts: Iterable[str]) -> None:
        """Learn the words of more texts."""
        for text in texts:
            if all(word in self._known for word in words(text)):
                continue
            for word, spelled in written(text).items():
                if word not in self._known:
                    if _mendable(word):
                        self._place(word)
                    self._known[word] = spelled

    def mend(self, search: str) -> str | None:
        """The search in the catalogue's words; None where it has one of them already, or is near none or several."""
        asked = search[: _LONGEST * _MOST_WORDS]
        if any(word in self._known for word in words(asked)):
            return None
        spelled = written(asked)
        if len(spelled) > _MOST_WORDS:
            return None
        meant = {word: self._nearest(word) for word in spelled}
        if not any(meant.values()):
            return None
        return " ".join(self._known[near] if (near := meant[word]) else own for word, own in spelled.items())

    def _place(self, word: str) -> None:
        for key in _less_one(word):
            there = self._near.get(key)
            if there is None:
                self._near[key] = word
            else:
                self._near[key] = (*(there if isinstance(there, tuple) else (there,)), word)

    def _nearest(self, word: str) -> str | None:
        if not _mendable(word):
            return None
        candidates: set[str] = set()
        for key in _less_one(word):
            there = self._near.get(key, ())
            candidates.update(there if isinstance(there, tuple) else (there,))
        most = 2 if len(word) >= _TWO_SLIPS else 1
        slips = {one: _slips(word, one) for one in candidates if one[0] == word[0]}
        least = min(slips.values(), default=most + 1)
        best = [one for one, found in slips.items() if found == least]
        return best[0] if least <= most and len(best) == 1 else None


def _mendable(word: str) -> bool:
    return (
        _SHORTEST <= len(word) <= _LONGEST
        and word.isalpha()
        and not any("\u2e80" <= char <= "\ud7ff" or char >= "\U00020000" for char in word)
    )


def _less_one(word: str) -> Iterator[str]:
    """The word itself, and with each of its letters left out."""
    yield word
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]


def _slips(one: str, other: str) -> int:
    """Slips from a word to another: the optimal string alignment distance."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            least = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                least = min(least, older[j - 2] + 1)
            row.append(least)
    return row[-1]
