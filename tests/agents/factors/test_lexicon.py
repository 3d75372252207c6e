import json
from pathlib import Path

import pytest

from agents.errors import LexiconError
from agents.factors import Factor, Kind, Lexicon

_LEXICON = Lexicon(
    [
        Factor("cake tins", Kind.PRODUCT, 5, 0.7, 1.0),
        Factor("tins", Kind.PRODUCT, 9, 0.6, 0.9),
        Factor("t-light holder", Kind.PRODUCT, 12, 0.5, 0.8),
        Factor("set of 3", Kind.SIZE, 20, 0.4, 0.3),
    ],
    titles=1000,
)


def test_the_longest_phrase_wins_and_no_word_serves_twice() -> None:
    assert [f.value for f in _LEXICON.find("Set of 3 CAKE TIN pantry")] == ["set of 3", "cake tins"]


def test_a_phrase_is_found_however_it_is_hyphenated() -> None:
    assert [f.value for f in _LEXICON.find("T light holders, glass")] == ["t-light holder"]


def test_a_size_that_no_title_of_the_catalogue_has_is_found_by_its_pattern() -> None:
    assert _LEXICON.find("Bottle 750 ML") == (Factor("750 ml", Kind.SIZE, 0, 0.0),)


def test_what_is_remembered_of_a_title_is_what_is_found() -> None:
    title = "Set of 3 cake tins"
    assert _LEXICON.values(title) == _LEXICON.values(title) == tuple(f.value for f in _LEXICON.find(title))


def test_more_factors_join_without_changing_those_that_are_there() -> None:
    more = _LEXICON.with_factors([Factor("TIN", Kind.MATERIAL, 1, 0.9), Factor("pantry", Kind.THEME, 2, 0.9)])
    assert more.get("tins") == _LEXICON.get("tins")
    assert [f.value for f in more.find("pantry tin")] == ["pantry", "tins"]
    assert _LEXICON.get("pantry") is None


def test_a_saved_lexicon_reads_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lexicon.json"
    _LEXICON.save(path)
    read = Lexicon.load(path)
    assert read.titles == 1000
    assert [(f.value, f.kind, f.seen, f.top) for f in read] == [
        (f.value, f.kind, f.seen, f.top) for f in _LEXICON
    ]
    assert list(tmp_path.rglob("*")) == [path.parent, path]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no lexicon can be read"),
        ("[]", "format 1"),
        (json.dumps({"format": 2}), "format 1"),
        (json.dumps({"format": 1, "titles": "x", "factors": []}), "`titles`"),
        (
            json.dumps({"format": 1, "titles": 3, "factors": [["a", "size", 1, 0.5], ["b", "odd", 1, 0.5]]}),
            "factor 2",
        ),
    ],
)
def test_a_file_that_is_no_lexicon_is_named_with_the_row_at_fault(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "lexicon.json"
    path.write_text(text)
    with pytest.raises(LexiconError, match=said) as caught:
        Lexicon.load(path)
    assert str(path) in caught.value.message
    assert caught.value.way_out
