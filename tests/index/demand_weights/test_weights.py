"""Weights of demands: sums of parts, and what moves them which way."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.demand_weights import Evidence, Weighed, WeightSettings, weigh
from index.errors import CatalogError

FEW = settings(max_examples=40)
UNIT = st.none() | st.floats(0, 1)
AGES = st.lists(st.floats(0, 4000), max_size=24).map(tuple)


@st.composite
def demands(draw: st.DrawFn) -> list[Evidence]:
    counts = {
        kind: draw(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))) for kind in ("llm", "cached")
    }
    found = []
    for number in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(sorted(counts)))
        more, clicked = counts[kind]
        found.append(
            Evidence(
                f"q{number}",
                kind,
                confidence=draw(UNIT),
                judged=draw(UNIT),
                ages_days=draw(AGES),
                preference=draw(UNIT),
                shown=clicked + more,
                clicked=clicked,
                path=draw(UNIT),
            )
        )
    return found


SETTINGS = st.builds(
    WeightSettings,
    confidence=st.floats(0, 4),
    judge=st.floats(0, 4),
    evidence=st.floats(0, 4),
    recency=st.floats(0, 4),
    response=st.floats(0, 4),
    confidence_slope=st.floats(0.1, 10),
    confidence_offset=st.floats(-10, 10),
    floor=st.floats(0.001, 1),
    largest_ratio=st.floats(1, 1000),
)


def of(**pieces: object) -> Evidence:
    return Evidence("query", "llm", **pieces)  # type: ignore[arg-type]  # keywords of one field each


def weights(*evidence: Evidence, settings: WeightSettings | None = None) -> list[float]:
    return [one.weight for one in weigh(evidence, settings)]


@FEW
@given(demands(), SETTINGS)
def test_parts_add_up_to_the_logarithm_and_weights_average_one(
    evidence: list[Evidence], settings: WeightSettings
) -> None:
    weighed = weigh(evidence, settings)
    assert [one.query for one in weighed] == [one.query for one in evidence]
    for one in weighed:
        assert one.weight > 0
        assert one.weight == pytest.approx(math.exp(sum(one.parts.values())) * one.normaliser, rel=1e-9)
    assert sum(one.weight for one in weighed) / len(weighed) == pytest.approx(1)


@FEW
@given(demands(), SETTINGS)
def test_no_demand_weighs_more_than_the_largest_ratio_times_another(
    evidence: list[Evidence], settings: WeightSettings
) -> None:
    found = [one.weight for one in weigh(evidence, settings)]
    assert max(found) / min(found) <= settings.largest_ratio * (1 + 1e-9)


@FEW
@given(demands())
def test_the_order_of_demands_does_not_matter(evidence: list[Evidence]) -> None:
    def by_query(weighed: list[Weighed]) -> dict[str, float]:
        return {one.query: one.weight for one in weighed}

    assert by_query(weigh(evidence[::-1])) == pytest.approx(by_query(weigh(evidence)))


@pytest.mark.parametrize("name", ["confidence", "judged", "preference", "path"])
@FEW
@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_larger_value_never_weighs_less(name: str, low: float, high: float) -> None:
    low, high = sorted((low, high))
    below, above = weights(of(**{name: low}), of(**{name: high}))
    assert below <= above + 1e-12
    if high - low > 1e-3:
        assert below < above


@pytest.mark.parametrize("name", ["confidence", "judged", "preference", "path"])
def test_what_is_unknown_neither_helps_nor_harms(name: str) -> None:
    part = {"judged": "judge"}.get(name, name)
    low, unknown, high = weigh([of(**{name: 0.2}), of(), of(**{name: 0.9})])
    assert unknown.parts[part] == 0
    assert low.weight < unknown.weight < high.weight
    assert weights(of(**{name: 0.2}), of(**{name: 0.2})) == pytest.approx([1, 1])


def test_new_events_weigh_more_than_old_ones_and_two_more_than_one() -> None:
    old, new, two = weights(of(ages_days=(70.0,)), of(ages_days=(0.0,)), of(ages_days=(0.0, 0.0)))
    assert old < new < two


def test_an_event_one_half_life_old_counts_half() -> None:
    settings = WeightSettings(evidence=1, recency=1, half_life_days=10, largest_ratio=1000)
    one, half = weigh([of(ages_days=(0.0,)), of(ages_days=(10.0,))], settings)
    assert one.parts["evidence"] + one.parts["recency"] == pytest.approx(math.log(2))
    assert half.parts["evidence"] + half.parts["recency"] == pytest.approx(math.log(1.5))


def test_a_kind_that_was_answered_weighs_more_and_a_few_counts_say_little() -> None:
    def ratio(shown: int, clicked: int) -> float:
        liked, ignored = weights(
            Evidence("a", "llm", shown=shown, clicked=clicked),
            Evidence("b", "cached", shown=shown, clicked=0),
        )
        return liked / ignored

    assert 1 < ratio(2, 1) < ratio(200, 100)


def test_a_shopper_who_answers_nothing_has_equal_demands() -> None:
    silent = [Evidence("a", "llm", shown=50), Evidence("b", "llm", shown=50)]
    assert weights(*silent) == pytest.approx([1, 1])


def test_the_response_rate_is_the_mean_of_the_beta_posterior() -> None:
    settings = WeightSettings(response=1, response_rate=0.1, response_shown=10, largest_ratio=1000)
    one, other = weigh([Evidence("a", "llm", shown=30, clicked=9), Evidence("b", "cached")], settings)
    usual = (9 + 1) / (30 + 10)
    assert one.parts["response"] == pytest.approx(math.log((9 + 10 * usual) / (30 + 10) / usual))
    assert other.parts["response"] == pytest.approx(0)


def test_calibration_changes_what_a_confidence_is_worth() -> None:
    pair = of(confidence=0.3), of(confidence=0.6)
    plain, steep = weights(*pair), weights(*pair, settings=WeightSettings(confidence_slope=3))
    assert steep[1] / steep[0] > plain[1] / plain[0]


def test_a_strength_of_zero_leaves_a_piece_out() -> None:
    none = WeightSettings(judge=0)
    assert weights(of(judged=0.1), of(judged=0.9), settings=none) == pytest.approx([1, 1])


def test_no_demand_gives_no_weight() -> None:
    assert weigh([]) == []


@pytest.mark.parametrize(
    ("pieces", "named"),
    [
        ({"confidence": 1.1}, "confidence is 1.1"),
        ({"judged": math.nan}, "judged is nan"),
        ({"path": -0.1}, "path is -0.1"),
        ({"ages_days": (-1.0,)}, "ages_days"),
        ({"ages_days": (math.inf,)}, "ages_days"),
        ({"shown": 1, "clicked": 2}, "2 were clicked of 1 shown"),
    ],
)
def test_evidence_out_of_range_is_refused_with_its_name(pieces: dict[str, object], named: str) -> None:
    with pytest.raises(CatalogError, match="'query'") as refused:
        of(**pieces)
    assert named in str(refused.value)


def test_one_kind_has_one_count_of_responses() -> None:
    with pytest.raises(CatalogError, match="'llm'"):
        weigh([of(shown=3), of(shown=4)])
