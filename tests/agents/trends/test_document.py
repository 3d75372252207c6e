import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import TrendError
from agents.trends import Document, Refused, document_of, read_documents


def test_a_record_becomes_a_document_with_its_time_in_utc() -> None:
    found = document_of({"title": "Mushroom lamps", "ts": "2026-11-01T01:00:00+01:00", "id": 7}, where="here")
    assert found == Document("7", "Mushroom lamps", "", 1_793_491_200_000, "here")


def test_a_time_without_zone_is_utc_and_a_number_is_milliseconds() -> None:
    text, number = (document_of({"text": "x", "ts": ts}, where="w") for ts in ("1970-01-01T00:00:01", 1000))
    assert isinstance(text, Document)
    assert isinstance(number, Document)
    assert text.ts == number.ts == 1000


def test_without_an_id_the_same_words_are_the_same_document() -> None:
    one, two, other = (
        document_of({"text": text, "ts": ts}, where="w") for text, ts in (("a", 1), ("a", 2), ("b", 1))
    )
    assert isinstance(one, Document)
    assert isinstance(two, Document)
    assert isinstance(other, Document)
    assert one.document_id == two.document_id != other.document_id


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ts": 1}, "neither title nor text"),
        ({"text": "x"}, "ts is 'None'"),
        ({"text": "x", "ts": "yesterday"}, "ts is 'yesterday'"),
        ({"text": "x", "ts": -1}, "ts is '-1'"),
        ({"text": ["x"], "ts": 1}, "text is list, expected text"),
    ],
)
def test_what_is_no_document_is_refused_with_place_and_reason(fields: dict[str, object], reason: str) -> None:
    found = document_of(fields, where="file, line 3")
    assert isinstance(found, Refused)
    assert found.where == "file, line 3"
    assert reason in found.reason


@given(
    st.dictionaries(
        st.sampled_from(["id", "title", "text", "ts", "source", "category"]),
        st.none() | st.integers() | st.text() | st.floats(),
    )
)
def test_any_record_is_a_document_or_refused(fields: dict[str, object]) -> None:
    assert isinstance(document_of(fields, where="w"), Document | Refused)


def test_a_folder_is_read_in_the_order_of_its_names_and_bad_lines_are_named(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# Cottage gardens\nClimbing roses are back.")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x", "ts": 5}) + "\n\nnot json\n")
    (tmp_path / "c.pdf").write_text("ignored")
    first, bad, text = read_documents(tmp_path)
    assert isinstance(first, Document)
    assert isinstance(bad, Refused)
    assert bad.where.endswith("a.jsonl, line 3")
    assert isinstance(text, Document)
    assert (text.title, text.text) == ("Cottage gardens", "Climbing roses are back.")


@pytest.mark.parametrize("name", ["missing", "table.csv"])
def test_a_path_that_holds_no_documents_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "table.csv").write_text("x")
    with pytest.raises(TrendError, match=name):
        list(read_documents(tmp_path / name))
