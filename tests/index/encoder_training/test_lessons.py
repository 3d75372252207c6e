from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.channels.purchases import DAY_MS, Purchases
from index.encoder_training import Pairs, learn_from, parts_of
from index.encoder_training.lessons import trend
from index.errors import CatalogError
from tests.index.encoder_training.conftest import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_lists_hold_what_the_shopper_did_not_buy_of_their_own_half(
    log: Purchases, titles: Sequence[str]
) -> None:
    lessons = learn_from(log, titles, NOW)
    half = {titles[item]: item % 2 for item in range(len(titles))}
    for wants, follow, weights, bought in zip(
        lessons.wants, lessons.follow, lessons.weights, lessons.bought, strict=True
    ):
        named = follow[weights > 0]
        assert not set(wants) & set(bought)
        assert not set(named) & set(bought)
        assert weights.sum() == pytest.approx(1.0)
        assert len({half[lessons.texts[at]] for at in [*wants, *bought]}) == 1
        assert np.mean([half[lessons.texts[at]] == half[lessons.texts[bought[0]]] for at in named]) > 0.9


def test_what_comes_at_or_after_the_moment_teaches_nothing(log: Purchases, titles: Sequence[str]) -> None:
    later = Purchases.of(
        [
            *(
                (log.users[user], log.items[item], time, 1.0, 1.0)
                for user, item, time in zip(
                    log.user.tolist(), log.item.tolist(), log.time.tolist(), strict=True
                )
            ),
            *((f"u{user}", "i0", NOW + user, 1.0, 1.0) for user in range(60)),
        ],
        log.items,
    )
    one, other = learn_from(log, titles, NOW), learn_from(later, titles, NOW)
    assert one.texts == other.texts
    assert (one.wants == other.wants).all()
    assert (one.follow == other.follow).all()


def test_items_with_one_title_are_one_text_and_those_without_are_left_out(
    log: Purchases, titles: list[str]
) -> None:
    titles[0], titles[2], titles[4] = "the same", "the  same", ""
    lessons = learn_from(log, titles, NOW)
    assert lessons.texts.count("the same") == 1
    assert "" not in lessons.texts
    assert len(lessons.texts) == len(titles) - 2


def test_a_title_bought_lately_rises_and_one_no_longer_bought_falls() -> None:
    lines = [(f"u{user}", "old", DAY_MS, 1.0, 1.0) for user in range(50)]
    lines += [(f"u{user}", "new", 99 * DAY_MS, 1.0, 1.0) for user in range(50)]
    lift = trend(Purchases.of(lines), NOW, 14.0)
    assert lift[1] > lift[0]
    assert lift[0] < 1.0


def test_searches_and_views_become_pairs_of_known_items_only(log: Purchases, titles: Sequence[str]) -> None:
    pairs = Pairs()
    pairs.searched["red lamp", "i1"] = 3
    pairs.searched["red lamp", "nobody's"] = 2
    pairs.seen["i1", "i2"] = 1
    lessons = learn_from(log, titles, NOW, pairs=pairs)
    named = {(lessons.asked[question], lessons.texts[text]) for question, text in lessons.pairs}
    assert named == {("red lamp", titles[1]), (titles[1], titles[2])}
    n = len(lessons.texts)
    assert set(lessons.pairs[:, 0] * n + lessons.pairs[:, 1]) <= set(lessons.positives())


def test_too_little_to_learn_from_is_an_error_that_counts(log: Purchases, titles: Sequence[str]) -> None:
    with pytest.raises(CatalogError, match="0 shoppers and 0 titles"):
        learn_from(log, titles, 5 * DAY_MS)
    with pytest.raises(CatalogError, match=r"shoppers and 10 titles"):
        learn_from(log, [*titles[:10], *("" for _ in titles[10:])], NOW)


def test_parts_are_words_of_their_title_in_order_and_the_same_for_a_seed() -> None:
    texts = ["a b c d e", "two words", "f g h"]
    found = parts_of(texts, 10, seed=1)
    assert sorted(number for _, number in found) == [0, 2]
    for part, number in found:
        rest = iter(texts[number].split())
        assert len(part.split()) == 2
        assert all(word in rest for word in part.split())
    assert found == parts_of(texts, 10, seed=1)
