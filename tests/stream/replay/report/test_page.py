"""The page of a difference: one file, no network, no script, and nothing of a shop's text acts on it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream.replay.comparing.chains import chains_of
from stream.replay.comparing.diff import compare
from stream.replay.comparing.golden import write_golden
from stream.replay.errors import RunError
from stream.replay.report import write_report
from stream.replay.report.page import plain, span
from stream.replay.report.plots import bars, columns, curve
from tests.stream.replay import shop
from tests.stream.replay.captures import write_capture
from tests.stream.replay.runs import ORDERS, VIEWS, Other, run

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</bdi><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}\u202egnp.exe\x07"


class Page(HTMLParser):
    """Tags, attributes and text of a page; a tag left open or closed twice is an error."""

    VOID = frozenset({"meta", "rect", "path", "link", "br", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    catalog = shop.build(folder)
    history: list[dict[str, Any]] = [
        {**event, "user_id": f"{event['user_id']}<script>alert(3)</script>"} for event in shop.history(400)
    ]
    capture = write_capture(folder / "c", history)
    run(capture, folder / "a", catalog, VIEWS % 3)
    run(capture, folder / "b", catalog, VIEWS % 2 + ORDERS, Other())
    for name in ("a", "b"):
        table = pq.read_table(folder / name / "items.parquet")
        titles = pa.array([f"{title} {HOSTILE}" for title in table["title"].to_pylist()])
        pq.write_table(table.set_column(1, "title", titles), folder / name / "items.parquet")
    return folder


def page_of(runs: Path, one: str, other: str, path: Path) -> tuple[str, Page]:
    found = compare(runs / one, runs / other)
    write_report(found, runs / one, runs / other, path)
    text = path.read_text()
    return text, Page(text)


def test_nothing_that_a_shop_or_a_shopper_wrote_acts_on_the_page(runs: Path, tmp_path: Path) -> None:
    text, page = page_of(runs, "a", "b", tmp_path / "page.html")
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "form", "base"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert plain(HOSTILE) in page.text
    assert "<script>alert(3)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "\u202e" not in text
    assert "\x07" not in text


def test_the_page_needs_nothing_beside_it(runs: Path, tmp_path: Path) -> None:
    text, page = page_of(runs, "a", "b", tmp_path / "page.html")
    assert not [value for _, found in page.tags for name, value in found.items() if name in {"src", "href"}]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    policy = next(found["content"] for tag, found in page.tags if tag == "meta" and "http-equiv" in found)
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "prefers-color-scheme: dark" in style[1]


def test_the_page_shows_the_figures_and_the_chains_of_the_most_changed(runs: Path, tmp_path: Path) -> None:
    _, page = page_of(runs, "a", "b", tmp_path / "page.html")
    found = compare(runs / "a", runs / "b")
    assert f"{found.agreement.overlap[20]:.1%}" in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) > 10
    for who in found.shoppers:
        for side, name in enumerate(("a", "b")):
            place = who.places[side]
            if place is None:
                continue
            chain = chains_of(runs / name, [place])[place]
            assert chain.user == who.user
            assert plain(chain.slate[0].title) in page.text
            assert plain(chain.prompt) in page.text
            assert all(demand.query in page.text for demand in chain.demands)
            assert chain.events[-1].ts == chain.ts


def test_two_runs_of_the_same_have_a_page_that_says_so(runs: Path, tmp_path: Path) -> None:
    _, page = page_of(runs, "a", "a", tmp_path / "page.html")
    assert "byte for byte" in page.text
    assert "a (first)" in page.text
    assert "The most changed shoppers" not in page.text


def test_a_golden_is_shown_beside_a_run_with_the_titles_of_the_run(runs: Path, tmp_path: Path) -> None:
    write_golden(runs / "a", tmp_path / "a.golden.jsonl.gz")
    found = compare(tmp_path / "a.golden.jsonl.gz", runs / "b")
    assert found.same["triggers"] is False
    whole = compare(runs / "a", runs / "b")
    assert (found.agreement, found.rules, found.demands_changed) == (
        whole.agreement,
        whole.rules,
        whole.demands_changed,
    )
    assert [side.hits for side in found.sides] == [side.hits for side in whole.sides]
    write_report(found, tmp_path / "a.golden.jsonl.gz", runs / "b", tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text())
    assert "golden" in page.text
    assert "number" in page.text


def test_a_page_that_cannot_be_written_is_said_so(runs: Path, tmp_path: Path) -> None:
    found = compare(runs / "a", runs / "b")
    with pytest.raises(RunError, match="folder does not exist"):
        write_report(found, runs / "a", runs / "b", tmp_path / "none" / "page.html")
    with pytest.raises(RunError, match="cannot be written"):
        write_report(found, runs / "a", runs / "b", tmp_path)


def test_shapes_are_of_the_numbers() -> None:
    assert [bar.shares for bar in bars({"x": (1, 4), "y": (2, 0)})] == [(25, 100), (50, 0)]
    assert bars({"x": (0, 0)})[0].shares == (0, 0)
    assert columns([0, 5, 10]) == [(0, 0), (50, 5), (100, 10)]
    assert curve([1, 2], 2).line == "M0.0,50.0 50.0,50.0 L50.0,0.0 100.0,0.0"
    assert curve([], 0).area == ""


@pytest.mark.parametrize(
    ("ms", "told"),
    [(0, "0 s"), (59_000, "59 s"), (60_000, "1 min"), (5_400_000, "1 h 30 min"), (90_000_000, "1 d 1 h")],
)
def test_lengths_of_time_are_told_in_their_two_largest_units(ms: int, told: str) -> None:
    assert span(ms) == told
