import random

import pytest

from agents.trends import Document, Topics, Trend, mine, offer

DAY = 86_400_000
NOW = 100 * DAY
TITLES = {
    "lighting": ["Mushroom table lamp", "Fairy lights", "Paper lantern", "Desk lamp brass"],
    "garden": ["Climbing rose", "Watering can", "Herb seeds", "Rose trellis"],
}


def _document(name: str, title: str, days: float = 1.0, category: str = "") -> Document:
    return Document(name, title, "", int(NOW - days * DAY), "press", category)


DOCUMENTS = [
    _document("a", "Mushroom lamp", 1),
    _document("b", "Mushroom lamps", 3),
    _document("c", "Climbing rose", 40),
    _document("d", "Quarterly earnings report", 1),
]


def test_phrases_that_say_the_same_are_one_trend_with_its_sources_and_age(encoder) -> None:
    mined = mine(DOCUMENTS, Topics.of(TITLES, encoder), encoder, now=NOW, relevant=0.1)
    lamp, rose = mined.trends
    assert lamp.query == "mushroom lamp"
    assert set(lamp.phrases) == {"mushroom lamp", "mushroom lamps"}
    assert lamp.category == "lighting"
    assert lamp.sources == ("a", "b")
    assert (lamp.age_days(NOW), lamp.first, lamp.last) == (1.0, NOW - 3 * DAY, NOW - DAY)
    assert (rose.query, rose.category) == ("climbing rose", "garden")
    assert mined.irrelevant == ("d",)


def test_the_order_of_the_documents_does_not_matter(encoder) -> None:
    topics = Topics.of(TITLES, encoder)
    shuffled = random.Random(1).sample(DOCUMENTS, len(DOCUMENTS))
    assert mine(shuffled, topics, encoder, now=NOW, relevant=0.1) == mine(
        DOCUMENTS, topics, encoder, now=NOW, relevant=0.1
    )


def test_a_document_read_twice_counts_once_and_one_of_the_future_not_at_all(encoder) -> None:
    later = _document("z", "Paper lantern", -5)
    mined = mine(
        [*DOCUMENTS, DOCUMENTS[0], later], Topics.of(TITLES, encoder), encoder, now=NOW, relevant=0.1
    )
    assert mined.repeated == ("a",)
    assert mined.trends[0].sources == ("a", "b")
    assert "z" in mined.irrelevant


def test_a_category_that_the_document_names_is_taken_as_it_is(encoder) -> None:
    named = _document("e", "Bronze lamp", 1, "garden")
    (trend,) = mine([named], Topics.of(TITLES, encoder), encoder, now=NOW, relevant=0.1).trends
    assert trend.category == "garden"


def test_a_stricter_merge_keeps_phrases_apart(encoder) -> None:
    documents = [_document("a", "Mushroom lamp"), _document("b", "Brass mushroom lamp")]
    topics = Topics.of(TITLES, encoder)
    assert len(mine(documents, topics, encoder, now=NOW, relevant=0.1, merged=0.8).trends) == 1
    assert len(mine(documents, topics, encoder, now=NOW, relevant=0.1, merged=0.99).trends) == 2


def test_nothing_in_gives_nothing_out(encoder) -> None:
    assert mine([], Topics.of(TITLES, encoder), encoder, now=NOW, relevant=0.1).trends == ()
    assert mine(DOCUMENTS, Topics.of({}, encoder), encoder, now=NOW, relevant=0.1).trends == ()


def _trend(query: str, category: str, days: float = 0.0, sources: int = 1) -> Trend:
    moment = int(NOW - days * DAY)
    return Trend(query, category, 0.5, (query,), tuple(map(str, range(sources))), moment, moment)


def test_a_trend_halves_in_two_weeks_and_grows_with_its_sources() -> None:
    assert _trend("x", "c", 14).weight(NOW) == pytest.approx(_trend("x", "c").weight(NOW) / 2)
    assert _trend("x", "c", sources=3).weight(NOW) == pytest.approx(2 * _trend("x", "c").weight(NOW))


def test_a_shopper_is_offered_the_trends_that_meet_their_preferences() -> None:
    trends = [
        _trend("lamp", "lighting", sources=3),
        _trend("rose", "garden"),
        _trend("car", "toys", sources=9),
    ]
    found = offer(trends, {"lighting": 1.0, "garden": 9.0}, now=NOW)
    assert [one.query for one in found] == ["rose", "lamp"]


def test_what_the_shopper_met_already_is_not_offered_and_a_category_comes_twice_at_most() -> None:
    trends = [_trend(f"{name} lamp", "lighting") for name in ("brass", "paper", "glass", "oak")]
    found = offer(trends, {"lighting": 1.0}, now=NOW, known=["Brass lamp with shade"])
    assert [one.query for one in found] == ["glass lamp", "oak lamp"]
    assert offer(trends, {}, now=NOW) == []


def test_a_phrase_ends_with_a_word_of_the_shop_and_may_begin_with_a_new_one(encoder) -> None:
    known = Topics.of(TITLES, encoder).known(
        ["mushroom lamps everywhere", "cottagecore lamp glows", "lamp sale", "interest rates"]
    )
    assert known == ["mushroom lamps", "cottagecore lamp"]
