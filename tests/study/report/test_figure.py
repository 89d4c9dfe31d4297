"""Both renderers rely on these: ranges that hold every value, ticks, keys, rows, and labels that cover nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.study.report.figure import (
    Axis,
    Figure,
    Heat,
    Panel,
    Rule,
    Series,
    sharing,
    spanned,
    ticks,
    without_empty_panels,
    wrapped,
)
from caser.study.report.labels import GAP, LETTER, LINE, label_sides

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.one_of(st.none(), numbers)))
def test_a_range_holds_every_value(values: list[float | None]) -> None:
    low, high = spanned(values)
    assert low < high
    assert all(low <= value <= high for value in values if value is not None)


def test_a_range_holds_intervals_rules_and_limits() -> None:
    series = Series("points", [1.0], [5.0], low=[2.0], high=[8.0])
    panel = Panel(Axis(), Axis(limits=(0,)), (series,), rules=(Rule(3, "x"),))
    assert panel.range("x") == pytest.approx((0.9, 3.1))
    assert panel.range("y") == pytest.approx((-0.4, 8.4))


def test_names_run_downwards_and_numbers_upwards() -> None:
    panel = Panel(Axis(), Axis(names=("first", "second")))
    assert panel.range("y") == (1.6, -0.6)


def test_a_logarithmic_axis_has_ticks_at_powers_of_ten_and_ignores_values_that_are_not_positive() -> None:
    panel = Panel(Axis(is_log=True), Axis(), (Series("points", [0, 0.01, 1000], [1, 2, 3]),))
    low, high = panel.range("x")
    assert (low, high) == pytest.approx((-2.25, 3.25))
    marks = ticks(panel, "x")
    assert marks is not None
    assert marks.text == ("0.01", "0.1", "1", "10", "100", "1,000")


def test_a_y_axis_shows_all_names_and_an_x_axis_leaves_some_out() -> None:
    names = tuple(map(str, range(40)))
    panel = Panel(Axis(names=names), Axis(names=names))
    across, down = ticks(panel, "x"), ticks(panel, "y")
    assert across is not None
    assert down is not None
    assert across.text == ("0", "4", "8", "12", "16", "20", "24", "28", "32", "36")
    assert down.text == names


def test_panels_that_share_have_one_range() -> None:
    one, other = (Panel(Axis(), Axis(), (Series("line", [0, 1], [0, top]),)) for top in (1, 9))
    shared = sharing([one, other], "y")
    assert {panel.range("y") for panel in shared} == {(-0.45, 9.45)}
    assert [panel.series for panel in shared] == [one.series, other.series]


def test_a_figure_has_a_key_only_if_it_has_several_names() -> None:
    ours, theirs = Series("line", [1], [1], "ours"), Series("line", [1], [1], "theirs")
    assert not Figure("f", "", "", "", (Panel(Axis(), Axis(), (ours,)),)).key()
    assert list(Figure("f", "", "", "", (Panel(Axis(), Axis(), (ours, theirs)),)).key()) == ["ours", "theirs"]


def test_the_rows_of_a_figure_hold_every_value_except_those_in_the_background() -> None:
    bars = Series("bars", [0.5], [1], "ours", low=[0.4], high=[0.6], along="x")
    behind = Series("line", [1], [2], colour="faint")
    heat = Panel(Axis(names=("a", "b")), Axis(names=("c",)), heat=Heat([[1.0, -2.0]]), title="heat")
    panel = Panel(Axis(), Axis(names=("first", "second\nof two")), (bars, behind), "panel")
    assert list(Figure("f", "", "", "", (panel, heat)).rows()) == [
        ("panel", "ours", "second of two", 0.5, 0.4, 0.6),
        ("heat", "c", "a", 1.0, None, None),
        ("heat", "c", "b", -2.0, None, None),
    ]


def test_a_long_name_ends_after_three_lines() -> None:
    assert wrapped("a b c d", 1) == ["a", "b", "c …"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 20)), min_size=1, max_size=12))
def test_labels_cover_neither_marks_nor_each_other(places: list[tuple[float, float, int]]) -> None:
    x, y = [one[0] for one in places], [one[1] for one in places]
    labels = ["x" * one[2] for one in places]
    axis = Axis(fixed=(-0.1, 1.1))
    panel = Panel(axis, axis, (Series("points", x, y, labels=labels),))
    width, height = 600.0, panel.height - 84.0
    boxes = []
    for i, side in enumerate(label_sides(panel, panel.series[0], width, height)):
        if side is not None:
            boxes.append(box(side, (x[i] + 0.1) / 1.2 * width, (1.1 - y[i]) / 1.2 * height, len(labels[i]) * LETTER))
    marks = [((a + 0.1) / 1.2 * width, (1.1 - b) / 1.2 * height) for a, b in zip(x, y, strict=True)]
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left < right <= width + 1e-6
        assert 0 <= top < bottom <= height + 1e-6
        assert not [1 for a, b in marks if left < a < right and top < b < bottom]
        assert not [
            1 for other in boxes[:i] if left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
        ]


@pytest.mark.parametrize(
    ("series", "is_empty"),
    [
        (Series("bars", [0, 0, None], [0, 1, 2], along="x"), True),
        (Series("bars", [0, 0.1], [0, 1], along="x"), False),
        (Series("points", [], []), True),
        (Series("points", [1, 2], [None, None]), True),
        (Series("points", [1, 2], [None, 0]), False),
        (Series("line", [1, 2], [0, 0]), False),
        (Series("line", [1, 2], [1, 2], colour="faint"), True),
    ],
)
def test_a_panel_in_which_nothing_is_to_be_seen_is_left_out(series: Series, is_empty: bool) -> None:
    full = Panel(Axis(), Axis(), (Series("line", [1, 2], [1, 2]),), "full")
    panel = Panel(Axis(), Axis(), (series,), "tested")
    shown = without_empty_panels(Figure("f", "", "", "", (panel, full), has_lead=True))
    assert shown is not None
    assert [one.title for one in shown.panels] == (["full"] if is_empty else ["tested", "full"])
    assert shown.has_lead is not is_empty
    assert (without_empty_panels(Figure("f", "", "", "", (panel,))) is None) is is_empty


def box(side: str, x: float, y: float, width: float) -> tuple[float, float, float, float]:
    """Return the room that a label takes, counted from its mark."""
    up, across = side.split()
    left = x + {"right": GAP, "left": -GAP - width, "center": -width / 2}[across]
    top = y + {"top": -GAP - LINE, "middle": -LINE / 2, "bottom": GAP}[up]
    return left, top, left + width, top + LINE


def test_the_label_of_a_single_point_stands_to_its_right() -> None:
    panel = Panel(Axis(limits=(0, 2)), Axis(limits=(0, 2)), (Series("points", [1], [1], labels=["one"]),))
    assert label_sides(panel, panel.series[0], 300, 200) == ["middle right"]
