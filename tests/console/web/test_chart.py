"""Coordinates of charts: inside their box, from zero up, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.web.chart import HEIGHT, WIDTH, Mark, Series, bars, line_chart, sparkline

HOUR = 3_600_000


def places(points: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


@given(
    st.lists(st.floats(min_value=0, max_value=1e9), min_size=1, max_size=50),
    st.integers(min_value=1, max_value=400 * HOUR),
)
def test_every_point_and_tick_is_inside_the_box(values: list[float], span: int) -> None:
    points = [(n * span / len(values), value) for n, value in enumerate(values)]
    chart = line_chart([Series("a", points, 0)], 0, span)
    for x, y in places(chart.lines[0].points):
        assert chart.left <= x <= chart.right
        assert chart.top <= y <= chart.bottom
    assert all(0 <= x <= WIDTH for x, _ in chart.x_ticks)
    assert all(0 <= y <= HEIGHT for y, _ in chart.y_ticks)
    assert len(chart.x_ticks) <= 9


def test_a_larger_value_is_higher_and_zero_is_at_the_bottom() -> None:
    chart = line_chart([Series("a", [(0, 0.0), (HOUR, 5.0), (2 * HOUR, 10.0)], 0)], 0, 2 * HOUR)
    (_, zero), (_, five), (_, ten) = places(chart.lines[0].points)
    assert zero == chart.bottom
    assert zero > five > ten >= chart.top
    assert chart.y_ticks[0][1] == "0"


def test_at_most_eight_lines_are_drawn_the_largest_ones() -> None:
    chart = line_chart(
        [Series(f"s{n}", [(0, float(n)), (HOUR, float(n))], n % 8) for n in range(12)], 0, HOUR
    )
    assert {line.name for line in chart.lines} == {f"s{n}" for n in range(4, 12)}


def test_marks_outside_the_time_are_left_out() -> None:
    chart = line_chart(
        [Series("a", [(0, 1.0)], 0)], 0, HOUR, marks=[Mark(HOUR / 2, "v1"), Mark(2 * HOUR, "v2")]
    )
    assert [label for _, label in chart.marks] == ["v1"]


def test_nothing_to_draw_is_said() -> None:
    assert line_chart([], 0, HOUR).empty
    assert line_chart([Series("a", [], 0)], 0, HOUR).empty


def test_the_largest_bar_fills_its_place() -> None:
    assert [(bar.name, bar.width) for bar in bars({"a": 5.0, "b": 10.0, "c": 0.0})] == [
        ("a", 50.0),
        ("b", 100.0),
        ("c", 0.0),
    ]
    assert bars({}) == []
    assert bars({"a": 0.0})[0].width == 0


def test_a_sparkline_needs_two_values() -> None:
    assert sparkline([1.0]) == ""
    assert len(places(sparkline([0.0, 2.0, 1.0]))) == 3
