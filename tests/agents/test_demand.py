import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.demand import MOST_DEMANDS, Reason, clean


def _reasons(queries: list[str], **known: object) -> dict[str, str]:
    return {each.query: each.reason for each in clean(queries, **known)[1]}  # type: ignore[arg-type]


def test_good_queries_are_kept_in_order_with_their_place() -> None:
    kept, rejected = clean(["garlic bread", " red   wine "])
    assert kept == [(0, "garlic bread"), (1, "red wine")]
    assert rejected == []


@pytest.mark.parametrize(
    "copy", ["WHITE HANGING HEART T-LIGHT HOLDER", "white hanging heart t light holders."]
)
def test_a_title_given_back_is_a_copy(copy: str) -> None:
    assert _reasons([copy], inputs=["White Hanging Heart T-Light Holder"]) == {copy: Reason.COPY.value}


def test_words_of_a_title_in_another_order_are_a_copy() -> None:
    assert _reasons(["bread white"], inputs=["white bread"]) == {"bread white": Reason.COPY.value}


def test_a_query_that_only_shares_words_with_a_title_is_no_copy() -> None:
    assert clean(["bread knife"], inputs=["white bread"])[0] == [(0, "bread knife")]


def test_a_query_of_the_examples_is_a_leak() -> None:
    assert _reasons(["Tea Towels"], examples=["tea towel"]) == {"Tea Towels": Reason.EXAMPLE.value}


def test_the_second_of_two_alike_is_a_duplicate() -> None:
    kept, rejected = clean(["candles", "candle"])
    assert kept == [(0, "candles")]
    assert [each.reason for each in rejected] == [Reason.DUPLICATE.value]


@pytest.mark.parametrize("query", ["1234", "--", "a b c", "!?"])
def test_what_has_no_word_is_no_demand(query: str) -> None:
    assert _reasons([query]) == {query: Reason.NO_WORD.value}


@pytest.mark.parametrize("query", ["", "   ", "\u200f\x00"])
def test_what_shows_nothing_is_empty(query: str) -> None:
    assert _reasons([query]) == {query: Reason.EMPTY.value}


def test_what_no_one_would_type_is_too_long() -> None:
    long = "one two three four five six seven eight nine"
    assert _reasons([long]) == {long: Reason.TOO_LONG.value}
    assert _reasons(["x" * 81])["x" * 80] == Reason.TOO_LONG.value


def test_a_title_of_the_catalogue_has_as_many_words_as_it_likes_within_the_characters() -> None:
    title = "set of 4 knick knack tins in the old style"
    assert clean([title, "bread"], titles=range(2)) == ([(0, title), (1, "bread")], [])
    assert clean([title], titles=range(1), longest=30)[1][0].reason == Reason.TOO_LONG.value
    kept, rejected = clean([f"{title} a", title], titles=(1,))
    assert kept == [(1, title)]
    assert [each.reason for each in rejected] == [Reason.TOO_LONG.value]


def test_letters_of_any_script_make_a_demand() -> None:
    assert clean(["\u7389\u7c73\u6dc0\u7c89", "\u043a\u043e\u0444\u0435"])[1] == []


@given(st.lists(st.text(max_size=60), max_size=12), st.lists(st.text(max_size=30), max_size=4))
def test_every_query_is_either_kept_or_rejected_and_no_copy_is_kept(
    queries: list[str], inputs: list[str]
) -> None:
    kept, rejected = clean(queries, inputs=inputs)
    assert len(kept) + len(rejected) == len(queries)
    assert len(kept) <= MOST_DEMANDS
    assert not clean([query for _, query in kept], inputs=inputs)[1]
