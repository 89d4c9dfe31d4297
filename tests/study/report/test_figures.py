"""Each figure shows the values of the study, and there is no figure for values that the study does not have."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from caser.errors import ConfigError
from caser.evaluation.slices import slices as measured_slices
from caser.study.report.changes import ablation, sweep
from caser.study.report.figure import Figure
from caser.study.report.figures import cost, curves, slices, standing, study_figures
from caser.study.report.glossary import SLICES
from caser.study.report.study import checked
from tests.study.report import studies

NAMES = {
    "compare": ["standing", "cost", "curves", "slices"],
    "sessions": ["standing", "slices", "cost", "curves"],
    "ablate": ["ablation", "curves"],
    "sweep": ["sweep"],
    "audit": ["finding-1", "finding-3"],
    "reliability": ["reliability"],
}


@pytest.mark.parametrize("kind", NAMES)
def test_each_kind_of_study_has_its_figures_with_an_explanation_each(kind: str) -> None:
    figures = study_figures(getattr(studies, kind)())
    assert [figure.name for figure in figures] == NAMES[kind]
    assert all(figure.reading.endswith(".") and figure.alternative for figure in figures)


@pytest.mark.parametrize("kind", ["compare", "sessions", "ablate", "sweep"])
def test_a_study_without_rows_has_no_figures(kind: str) -> None:
    assert study_figures({**studies.COMMON, "kind": kind, "rows": []}) == []


def test_the_best_model_is_at_the_top_and_the_dotted_line_is_the_best_counting_model() -> None:
    figure = must(standing(studies.compare()))
    panel = figure.panels[0]
    assert panel.y.names[:2] == ("sasrec", "caser")
    assert [(rule.at, rule.label) for rule in panel.rules] == [(0.098, "best simple model")]
    assert "does worse than count-knn, the best simple one" in figure.reading
    learns, counts = panel.series
    assert (learns.colour, counts.colour) == ("accent", "neutral")
    assert [panel.y.names[int(y or 0)] for y in counts.y][:2] == ["count-knn", "session-knn"]
    assert [round(x or 0, 3) for x in counts.x][:2] == [0.098, 0.091]


def test_groups_of_a_session_study_share_one_scale() -> None:
    panels = must(standing(studies.sessions())).panels
    assert [panel.title for panel in panels] == ["this session only", "earlier sessions too", "with user vector"]
    assert len({panel.range("x") for panel in panels}) == 1


def test_cost_is_the_time_of_choosing_plus_training() -> None:
    learns, counts = must(cost(studies.compare())).panels[0].series
    assert dict(zip(learns.labels, learns.x, strict=True))["caser"] == pytest.approx(4 * 61)
    assert dict(zip(counts.labels, counts.x, strict=True))["count-knn"] == pytest.approx(0.4)


def test_similar_costs_have_a_linear_axis() -> None:
    study = studies.compare()
    assert must(cost(study)).panels[0].x.is_log
    assert not must(cost({**study, "rows": study["rows"][-3:]})).panels[0].x.is_log


def test_each_training_curve_is_drawn_in_front_of_the_others_in_grey() -> None:
    study = studies.compare()
    panels = must(curves(study)).panels
    trained = [row for row in study["rows"] if row["history"]]
    assert [panel.title for panel in panels] == [row["label"] for row in trained]
    *behind, front = panels[0].series
    assert [one.colour for one in behind] == ["faint"] * (len(trained) - 1)
    assert list(front.y) == [epoch["validation"] for epoch in trained[0]["history"]]


def test_an_ablation_shows_measured_and_published_differences() -> None:
    losses, costs, removed, _ = must(ablation(studies.ablate())).panels
    ours, theirs = losses.series
    assert losses.y.names == ("p", "v", "h", "vh", "pv", "ph")
    assert ours.x[0] == pytest.approx(0.083 - 0.1861)
    published = {"p": 0.0935, "v": 0.1403, "h": 0.1304, "vh": 0.1448, "pv": 0.1494, "ph": 0.1372}
    assert list(theirs.x) == pytest.approx([value - 0.1507 for value in published.values()])
    assert costs.y.names == losses.y.names
    assert removed.y.names[0] == "no dropout"
    assert len(removed.series) == 1


def test_published_figures_without_the_full_model_are_not_compared() -> None:
    study = studies.ablate()
    del study["reference"]["pvh"]
    assert all(len(panel.series) == 1 for panel in must(ablation(study)).panels)


def test_a_sweep_has_a_band_over_seeds_and_names_the_smallest_that_is_enough() -> None:
    study = studies.sweep()
    quality, time, memory = must(sweep(study)).panels
    line, enough, best = quality.series
    assert list(line.low) == [min(row["by_seed"]["ndcg@10"]) for row in study["rows"]]
    assert list(line.high) == [max(row["by_seed"]["ndcg@10"]) for row in study["rows"]]
    assert (list(enough.x), list(enough.labels)) == ([4], ["enough: 4"])
    assert (list(best.x), list(best.labels)) == ([17], ["best: 17"])
    assert list(time.series[0].y) == [row["seconds"]["training"] for row in study["rows"]]
    assert list(memory.series[0].y) == [row["peak_memory_mb"] for row in study["rows"]]


def test_a_sweep_over_words_has_names_on_its_axis() -> None:
    study = studies.sweep()
    for row, word in zip(study["rows"], "abcdefghijklmnopqrst", strict=True):
        row |= {"setting": word, "by_seed": {}, "peak_memory_mb": None}
    study["sweep"] = {"over": "loss", "best": "b", "smallest_within_noise": "b"}
    quality, _ = must(sweep(study)).panels
    assert quality.x.names[:2] == ("a", "b")
    assert (list(quality.series[1].x), list(quality.series[1].labels)) == ([1], ["best, and enough: b"])


def test_slices_show_the_best_models_and_the_best_counting_one_on_one_scale() -> None:
    study = studies.compare()
    panels = must(slices(study)).panels
    assert [one.name for one in panels[0].series] == ["sasrec", "caser", "nextitnet", "count-knn"]
    assert panels[0].series[3].colour == "neutral"
    expected = study["slices"]["length of the history"]["up to 20"]["models"]["caser"]["ndcg@10"]["value"]
    assert panels[0].series[1].y[0] == expected
    assert len({panel.range("y") for panel in panels}) == 1
    assert panels[0].x.names[0].startswith("up to 20\nn = ")


def test_the_bars_of_a_finding_do_not_cover_each_other() -> None:
    bars, lines = study_figures(studies.audit())
    true, shuffled = bars.panels[0].series
    assert list(true.x) == [0.081, 0.098, 0.104]
    assert list(true.y) == pytest.approx([-0.2, 0.8, 1.8])
    assert list(shuffled.y) == pytest.approx([0.2, 1.2, 2.2])
    assert list(lines.panels[0].series[0].high) == [0.45, 0.35, 0.25, 0.15, 0.1]


def test_a_finding_whose_bars_are_all_zero_has_no_figure() -> None:
    study = studies.audit()
    bars = study["findings"][0]["chart"]
    for series in bars["series"]:
        series |= {"y": [0, 0, 0], "low": None, "high": None}
    assert [figure.name for figure in study_figures(study)] == ["finding-3"]


def test_one_epoch_makes_no_curve() -> None:
    study = studies.compare()
    for row in study["rows"]:
        row["history"] = row["history"][: 1 if row["label"] == "caser" else 2]
    assert "caser" not in [panel.title for panel in must(curves(study)).panels]
    for row in study["rows"]:
        row["history"] = row["history"][:1]
    assert curves(study) is None


def must(figure: Figure | None) -> Any:
    assert figure is not None
    return figure


def test_the_figure_of_slices_says_what_each_of_its_slices_is() -> None:
    study = studies.compare()
    [buckets, *_] = study["slices"].values()
    study["slices"] = {"popularity": buckets, "mine": buckets}
    text = must(slices(study)).reading
    assert "the head is the fewest items with half of the interactions" in text
    assert "Position" not in text


def test_every_slice_that_is_measured_has_a_meaning() -> None:
    described = inspect.getdoc(measured_slices) or ""
    assert set(re.findall(r"^(\w+)  +(?:the number|how often|the place|whether)", described, re.MULTILINE)) == set(
        SLICES
    )


def test_the_reliability_figure_shows_chances_against_what_came_and_both_by_rank() -> None:
    [figure] = study_figures(studies.reliability())
    by_chance, by_rank = figure.panels
    line, hits = by_chance.series
    assert list(line.x) == list(line.y)  # the diagonal
    assert (list(hits.x), list(hits.y)) == ([0.01, 0.04, 0.1, 0.4], [0.009, 0.05, 0.09, 0.44])
    assert hits.low[3] == pytest.approx(0.8 * 0.44)
    assert hits.high[3] == pytest.approx(1.2 * 0.44)
    chances, came = by_rank.series
    assert list(chances.y) == [0.1, 0.05, 0.03]
    assert list(came.y) == [0.11, 0.04, 0.03]


def test_a_reliability_study_without_bins_is_refused() -> None:
    without = {name: value for name, value in studies.reliability().items() if name != "bins"}
    with pytest.raises(ConfigError, match="must have the key 'bins'"):
        checked(without)
