"""Figures and texts as people read them; nothing that comes from events acts or hides."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from console.web.templates import _environment
from console.web.words import ago, amount, exact, finalize, lines, millis, percent, plain, rate, span, when

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@given(st.text())
def test_no_character_that_hides_or_turns_text_round_is_printed(text: str) -> None:
    shown = plain(text)
    assert not [c for c in shown if unicodedata.category(c) in HIDDEN and c not in "\u200c\u200d"]


@given(st.text(alphabet=st.characters(exclude_categories=HIDDEN)))
def test_text_without_such_characters_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@given(st.text())
def test_many_lines_stay_lines_and_are_escaped(text: str) -> None:
    shown = lines(text)
    assert isinstance(shown, Markup)
    assert "<" not in shown
    assert shown.count("\n") == max(0, len(text.splitlines()) - 1)


def test_a_template_prints_hostile_text_as_text() -> None:
    template = _environment().from_string("<p title='{{ x }}'>{{ x }}</p>")
    shown = template.render(x="<script>\u202e'\"\x00")
    assert shown.count("&lt;script&gt;\\u202e&#39;&#34;\\x00") == 2
    assert "<script" not in shown


def test_a_value_that_a_form_sends_back_keeps_every_character() -> None:
    assert exact("a\u202eb<") == "a\u202eb&lt;"


def test_none_is_nothing_and_a_megabyte_is_cut() -> None:
    assert finalize(None) == ""
    assert len(finalize("x" * 1_000_000)) < 3000


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (when(0), ""),
        (when(1_746_360_000_000), "2025-05-04 12:00:00"),
        (when(10**18), "1000000000000000000"),
        (ago(None, 5), "never"),
        (ago(1_000, 91_000), "1 min 30 s ago"),
        (ago(5_000, 5_100), "just now"),
        (ago(120_000, 0), "in 2 min"),
        (span(3.04), "3.0 s"),
        (span(9.96), "10 s"),
        (span(90_000), "1 d 1 h"),
        (amount(1234), "1,234"),
        (amount(12_345_678), "12.3 M"),
        (amount(None), "\N{EN DASH}"),
        (amount(float("nan")), "\N{EN DASH}"),
        (rate(0.9999), "1.0"),
        (rate(0.25), "0.25"),
        (rate(99.7), "100"),
        (rate(0), "0"),
        (millis(3.14), "3.1 ms"),
        (millis(1234), "1.23 s"),
        (millis(12_345), "12.3 s"),
        (percent(0.125, 1), "12.5%"),
        (percent(0, 1), "0%"),
    ],
)
def test_figures_are_short(found: str, expected: str) -> None:
    assert found == expected
