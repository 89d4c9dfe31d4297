"""Both renderers draw every figure: plotly accepts every panel, and matplotlib shows every text unchanged."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from caser.study.report.figure import Axis, Figure, Panel, Rule, Series
from caser.study.report.figures import study_figures
from caser.study.report.labels import Box, Plot, label_box
from caser.study.report.network import network_facts, network_figures
from caser.study.report.palette import DARK, LIGHT
from caser.study.report.plotly_figures import WIDTHS, figure_json, plain
from caser.study.report.png import png
from tests.skips import NEEDS_EXTRAS
from tests.study.report import studies

KINDS = ["compare", "sessions", "ablate", "sweep", "audit"]


def coloured(value: Any, key: str = "") -> Any:
    """Put colours in as the page's script does."""
    if isinstance(value, dict):
        return {name: coloured(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [coloured(one, key) for one in value]
    if not (key.lower().endswith(("color", "colorscale")) and isinstance(value, str) and value.startswith("$")):
        return value
    return [[0, LIGHT["heat-low"]], [1, LIGHT["heat-high"]]] if value == "$heat" else LIGHT[value[1:]]


@pytest.mark.parametrize("kind", KINDS)
def test_plotly_accepts_every_panel(kind: str) -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects", reason=NEEDS_EXTRAS)
    figures = study_figures(getattr(studies, kind)()) + network_figures(network_facts(studies.network()))
    for panel in (panel for figure in figures for panel in figure_json(figure)):
        drawn = graph_objects.Figure(coloured(panel))
        assert len(drawn.data) == len(panel["data"]) > 0


def test_every_colour_is_a_role_that_light_and_dark_have() -> None:
    figures = study_figures(studies.compare()) + study_figures(studies.ablate()) + study_figures(studies.sweep())
    roles = {one for figure in figures for one in colours(figure_json(figure))}
    assert {"accent", "neutral", "second", "faint", "ink", "accent-soft"} <= roles
    assert roles <= set(LIGHT) & set(DARK)


def colours(value: Any, key: str = "") -> set[str]:
    if isinstance(value, dict):
        return {role for name, one in value.items() for role in colours(one, name)}
    if isinstance(value, list):
        return {role for one in value for role in colours(one, key)}
    return {value[1:]} if isinstance(value, str) and value.startswith("$") else set()


def test_whiskers_reach_from_the_low_to_the_high_end() -> None:
    series = Series("points", [0.5, 0.2], [0, 1], low=[0.4, None], high=[0.7, None], along="x")
    (panel,) = figure_json(Figure("f", "", "", "", (Panel(Axis(), Axis(names=("a", "b")), (series,)),)))
    error = panel["data"][0]["error_x"]
    assert error["array"] == pytest.approx([0.2, 0.0])
    assert error["arrayminus"] == pytest.approx([0.1, 0.0])
    assert panel["data"][0]["hovertext"] == ["a: 0.5000 (0.4000 to 0.7000)", "b: 0.2000"]


def crowded() -> Figure:
    """Twelve models of nearly the same quality and cost, with long and wide names."""
    study = studies.compare()
    for i, row in enumerate(study["rows"]):
        row |= {"label": f"mmWW model number {i}" if i % 2 else f"caser {i}", "seconds": {"training": 1 + 0.05 * i}}
        row["metrics"]["ndcg@10"] = {"value": 0.1 + 0.001 * i, "low": 0.09, "high": 0.12}
    return study_figures(study)[1]


@pytest.mark.parametrize("figure", [study_figures(studies.compare())[1], crowded()], ids=["twelve models", "crowded"])
def test_labels_do_not_overlap_at_any_width_that_the_page_draws(figure: Figure) -> None:
    (panel,) = figure.panels
    (drawn,) = figure_json(figure)
    margin = drawn["layout"]["margin"]
    height = drawn["layout"]["height"] - margin["t"] - margin["b"]
    assert not drawn["layout"]["yaxis"]["automargin"]  # the plot has exactly the size that the places were made for
    for i, width in enumerate(WIDTHS):
        plot, boxes = Plot(panel, width, height), []
        for trace, series in zip(drawn["data"], panel.series, strict=True):
            places = trace["meta"]["labels"][i]
            assert places["width"] == width
            for x, y, text, side in zip(series.x, series.y, places["text"], places["textposition"], strict=True):
                boxes += [label_box(side, *plot.pixels(x, y), text)] if text else []
        assert boxes, width
        assert all(one[0] >= 0 and one[2] <= width and one[1] >= 0 and one[3] <= height for one in boxes)
        assert not [pair for pair in combinations(boxes, 2) if touch(*pair)], width


def touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("figure", [study_figures(studies.compare())[1], crowded()], ids=["twelve models", "crowded"])
def test_labels_of_a_picture_do_not_overlap(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason=NEEDS_EXTRAS)
    from matplotlib.figure import Figure as Canvas

    canvases: list[Any] = []
    monkeypatch.setattr(Canvas, "savefig", lambda self, *_, **__: canvases.append(self))
    png(figure)
    (canvas,) = canvases
    canvas.draw_without_rendering()
    labels = {label for series in figure.panels[0].series for label in series.labels}
    boxes = [text.get_window_extent() for text in canvas.axes[0].texts if text.get_text() in labels]
    assert len(boxes) > 1
    assert not [pair for pair in combinations(boxes, 2) if touch(pair[0].extents, pair[1].extents)]


def test_a_narrower_plot_has_fewer_labels() -> None:
    trace = figure_json(study_figures(studies.compare())[1])[0]["data"][0]
    narrow, *_, wide = ([text for text in one["text"] if text] for one in trace["meta"]["labels"])
    assert "caser" in wide
    assert len(narrow) <= len(wide)


def test_plotly_gets_text_without_html_and_formulas() -> None:
    assert plain(studies.HOSTILE).count("<") == plain(studies.HOSTILE).count("$") == 0


def test_matplotlib_shows_every_text_unchanged() -> None:
    pytest.importorskip("matplotlib", reason=NEEDS_EXTRAS)
    odd = "$\\frac{1}$ 日本 <b>"
    series = Series("points", [1, 2], [1, None], odd, labels=[odd, odd], low=[0, None], high=[2, None])
    panel = Panel(Axis(odd), Axis(odd), (series, Series("line", [1], [1], "other")), odd, (Rule(1, "x", odd),))
    assert png(Figure("f", odd, "", "", (panel,))).startswith(b"\x89PNG")


def test_the_same_figure_is_the_same_picture() -> None:
    pytest.importorskip("matplotlib", reason=NEEDS_EXTRAS)
    (figure, _) = study_figures(studies.audit())
    assert png(figure) == png(figure)
