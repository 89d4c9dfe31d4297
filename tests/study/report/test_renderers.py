"""Both renderers draw every figure: plotly accepts every panel, and matplotlib shows every text unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from caser.study.report.figure import Axis, Figure, Panel, Rule, Series
from caser.study.report.figures import study_figures
from caser.study.report.network import network_facts, network_figures
from caser.study.report.palette import DARK, LIGHT
from caser.study.report.plotly_figures import figure_json, plain
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


def test_a_narrow_screen_has_labels_of_its_own() -> None:
    figure = study_figures(studies.compare())[1]
    trace = figure_json(figure)[0]["data"][0]
    wide, narrow = ([text for text in texts if text] for texts in (trace["text"], trace["meta"]["narrow"]["text"]))
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
