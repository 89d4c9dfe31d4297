"""The page shows the numbers of the study, loads nothing, runs no code from the data, and can be read aloud."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from caser.evaluation.statistics import Difference
from caser.models import MODELS, model_settings
from caser.study.report.plotly_figures import script
from caser.study.report.write import write_report
from tests.skips import NEEDS_EXTRAS
from tests.study.report import studies
from tests.study.report.reading import Element, read_page

pytest.importorskip("plotly", reason=NEEDS_EXTRAS)
pytest.importorskip("matplotlib", reason=NEEDS_EXTRAS)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a study whose label, slice, log, note and setting hold markup, its network's titles too, and its page."""
    study = studies.compare(studies.HOSTILE)
    study["rows"] = study["rows"][2:4] + study["rows"][-2:]
    study["rows"][2]["history"] = []
    study["slices"] = {
        studies.HOSTILE: studies.slices([row["label"] for row in study["rows"]])["length of the history"]
    }
    study["rows"][0]["settings"] = {studies.HOSTILE: studies.HOSTILE}
    study["notes"] = study["advice"] = [studies.HOSTILE]
    study["log"] = {**study["log"], "name": studies.HOSTILE}
    path = write_report(study, tmp_path_factory.mktemp("hostile"), studies.network(studies.HOSTILE))
    return {"study": study, "text": path.read_text(encoding="utf-8"), "page": read_page(path.read_text("utf-8"))}


@pytest.fixture(scope="module")
def page(hostile: dict[str, Any]) -> Element:
    found = hostile["page"]
    assert isinstance(found, Element)
    return found


def cells(page: Element, caption: str) -> dict[str, list[list[float]]]:
    """Return the exact numbers of each cell of a table, by the name of its row."""
    table = next(one for one in page.all("table") if caption in one.all("caption")[0].text)
    return {
        row.all("th")[0].text: [[float(one.attributes["value"]) for one in cell.all("data")] for cell in row.all("td")]
        for row in table.all("tbody")[0].all("tr")
    }


def test_markup_in_the_data_stays_plain_text(page: Element) -> None:
    assert len(page.all("script")) == 4
    assert not page.all("b")
    for place in ("td", "th", "li", "dd", "p"):
        assert any(studies.HOSTILE in one.text for one in page.all(place)), place
    assert page.all("title")[0].text.startswith("Is Caser worth it")


def test_plotly_reads_no_markup_from_the_data(page: Element) -> None:
    panels = json.loads(page.all("script", id="panels")[0].text)
    texts = [text for text in strings(panels) if "alert" in text]
    assert texts
    assert not [text for text in texts if "<script" in text or "<b>" in text or "$x$" in text]
    templates = [one.get("texttemplate", "") + one.get("hovertemplate", "") for one in traces(panels)]
    assert set(templates) <= {"", "%{z:.2f}"}


def test_embedded_json_cannot_end_its_element(hostile: dict[str, Any]) -> None:
    start = hostile["text"].index('id="panels">') + len('id="panels">')
    assert "<" not in hostile["text"][start : hostile["text"].index("</script>", start)]


def test_only_its_own_scripts_may_run_and_nothing_is_loaded(page: Element) -> None:
    scripts = [one for one in page.all("script") if one.attributes.get("type") != "application/json"]
    digests = [base64.b64encode(hashlib.sha256(one.text.encode()).digest()).decode() for one in scripts]
    policy = next(one for one in page.all("meta") if "content" in one.attributes and "http-equiv" in one.attributes)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    assert policy.attributes["content"].startswith("default-src 'none'; img-src data:;")
    assert f"script-src {allowed};" in policy.attributes["content"]
    for one in page.every():
        assert not [name for name in one.attributes if name.startswith("on")]
        for name in ("src", "href", "data", "action", "srcset"):
            assert re.match(r"data:image/png;base64,|#|$", one.attributes.get(name, ""))
    assert not re.search(r"url\(|@import", page.all("style")[0].text)


def test_the_page_holds_plotly_once(hostile: dict[str, Any]) -> None:
    assert hostile["text"].count(script()) == 1


def test_every_number_of_the_table_is_that_of_the_study(hostile: dict[str, Any], page: Element) -> None:
    shown = cells(page, "All models are tested")
    for row in hostile["study"]["rows"]:
        (name,) = [one for one in shown if one.startswith(row["label"])]
        quality, difference, *beyond, seconds, parameters = shown[name]
        metric = row["metrics"]["ndcg@10"]
        assert quality == pytest.approx([metric["value"], (metric["high"] - metric["low"]) / 2])
        expected = row["difference"]
        assert difference == pytest.approx(
            [expected["value"], (expected["high"] - expected["low"]) / 2] if expected else []
        )
        assert [one[0] for one in beyond] == list(row["beyond"].values())
        assert (seconds, parameters) == ([row["seconds"]["training"]], [row["parameters"]])


def test_every_metric_has_its_interval(hostile: dict[str, Any], page: Element) -> None:
    shown = cells(page, "Every metric")
    for row in hostile["study"]["rows"]:
        (name,) = [one for one in shown if one.startswith(row["label"])]
        assert shown[name] == [[metric[end] for end in ("value", "low", "high")] for metric in row["metrics"].values()]


def test_every_difference_has_its_p_values(hostile: dict[str, Any], page: Element) -> None:
    shown = cells(page, "Differences between two models")
    differences = {row["label"]: row["difference"] for row in hostile["study"]["rows"] if row["difference"]}
    assert len(shown) == len(differences)
    for label, difference in differences.items():
        (name,) = [one for one in shown if one.startswith(label)]
        expected = [[difference[key]] for key in ("p_value", "p_adjusted", "smallest_detectable")]
        assert shown[name][-4:-1] == expected


def test_the_differences_of_these_tests_have_the_keys_of_real_ones() -> None:
    real = Difference(0.01, -0.01, 0.03, 0.028, p_value=0.3, p_adjusted=0.6).to_dict()
    assert set(studies.difference(0.01, "markov")) - set(real) == {"against", "metric"}


@pytest.mark.parametrize("kind", ["compare", "ablate", "sweep", "sessions"])
def test_every_column_of_the_main_table_is_explained_below_it(kind: str, tmp_path: Path) -> None:
    study = getattr(studies, kind)()
    for row in study["rows"]:
        row["history"] = []
    page = read_page(write_report(study, tmp_path).read_text(encoding="utf-8"))
    words = {
        term.text: meaning.text
        for one in page.all("dl", **{"class": "words"})
        for term, meaning in zip(one.all("dt"), one.all("dd"), strict=True)
    }
    headings = [one.text for one in page.all("table")[0].all("thead")[0].all("th")]
    assert {
        "ndcg@10",
        "coverage@10",
        "gini@10",
        "head share@10",
        "novelty@10",
        "diversity@10",
        "training, s",
        "parameters",
    } <= set(headings)
    assert set(headings) - {"model"} <= set(words)
    assert set(study["metrics"]) <= set(words)
    assert ("pvh" in words) is (kind == "ablate")
    assert ("simple" in words) is (kind in ("compare", "sessions"))
    assert all(len(meaning) > 15 and "{" not in meaning for meaning in words.values())


def test_what_each_model_does_is_said_in_its_own_words(tmp_path: Path) -> None:
    study = studies.compare()
    study["rows"] = [one for one in study["rows"] if one["label"] in ("ease", "markov", "caser")]
    for row in study["rows"]:
        row |= {"about": model_settings(row["label"]).about, "history": []}
    text = read_page(write_report(study, tmp_path).read_text(encoding="utf-8")).all("main")[0].text
    for name, about in (("ease", "solves one linear regression"), ("markov", "counts which item follows which")):
        assert f"{name}{about}" in text
    assert "only counts" not in text


def test_every_model_says_what_it_does() -> None:
    abouts = [model_settings(name).about for name in MODELS if name != "blend"]
    assert len(set(abouts)) == len(abouts)
    assert not [one for one in abouts if one.endswith(".") or not one[0].islower()]


def test_each_number_is_written_as_its_rounded_value(page: Element) -> None:
    numbers = page.all("data")
    assert len(numbers) > 100
    for one in numbers:
        text = one.text.replace(",", "").replace("\u2212", "-")
        digits = len(text.partition(".")[2])
        assert float(text) == pytest.approx(float(one.attributes["value"]), abs=0.5001 * 10**-digits)


def test_the_verdict_is_the_first_section_and_the_origin_of_the_numbers_the_last(
    hostile: dict[str, Any], page: Element
) -> None:
    sections = page.all("section")
    headline, _, reason = hostile["study"]["verdicts"][0].partition(". ")
    assert sections[0].all("p")[0].text == f"{headline}."
    assert sections[0].all("li")[0].text == reason
    assert reason.startswith("In this test, ")
    titles = [one.all("h2")[0].text for one in sections]
    assert titles == [
        "Verdict",
        "The numbers",
        "Which model is best",
        "Quality against cost",
        "Training",
        "Quality by slice",
        "Inside the network",
        "How this was made",
    ]
    for fact in ("command", "fingerprint"):
        assert hostile["study"][fact] in sections[-1].text
    assert hostile["study"]["log"]["digest"] in sections[-1].text


def test_the_best_counting_model_is_marked_once_and_differences_say_whether_they_are_clear(page: Element) -> None:
    table = page.all("table")[0]
    marked = [row for row in table.all("tr") if "best simple model" in row.text]
    assert [row.all("th")[0].text[:9] for row in marked] == ["count-knn"]
    by_name = {row.all("th")[0].text: row.all("td")[1].text for row in table.all("tbody")[0].all("tr")}
    assert by_name["markovsimple"].endswith("▼ worse")
    assert next(text for name, text in by_name.items() if "alert" in name).endswith("no clear difference")


def test_tables_have_headers_and_figures_have_a_text_alternative(page: Element) -> None:
    for table in page.all("table"):
        assert table.all("caption")[0].text
        assert {one.attributes.get("scope") for one in table.all("th")} <= {"col", "row", "rowgroup"}
    for figure in page.all("figure"):
        assert figure.all("figcaption")[0].text.endswith(".")
        assert figure.all("img")[0].attributes["alt"]
        assert figure.all("div", role="img")[0].attributes["aria-label"]
        assert figure.all("table")
    ids = [one.attributes["id"] for one in page.every() if "id" in one.attributes]
    assert len(ids) == len(set(ids))


def test_every_panel_has_a_place(page: Element) -> None:
    panels = json.loads(page.all("script", id="panels")[0].text)
    assert set(panels) == {one.attributes["id"] for one in page.all("div", **{"class": "plot"})}


@pytest.mark.parametrize("make", [studies.audit, studies.sweep])
def test_audits_and_sweeps_show_their_findings_and_badges(make: Any, tmp_path: Path) -> None:
    study = make()
    page = read_page(write_report(study, tmp_path).read_text(encoding="utf-8"))
    text = page.all("main")[0].text
    for finding in study.get("findings", ()):
        assert finding["question"] in text
        assert finding["sentence"] in text
    if study["kind"] == "audit":
        assert page.all("section")[0].all("p")[0].text == study["verdict"]
        assert [one.text for one in page.all("span") if "severity" in one.attributes.get("class", "")] == [
            "Good",
            "Warning",
            "Note",
        ]
    else:
        badges = {
            row.all("th")[0].text for row in page.all("table")[0].all("tr") if row.all("span", **{"class": "badge"})
        }
        assert badges == {"L = 4 enough", "L = 17 best"}


def test_a_study_of_two_groups_has_a_heading_for_each(tmp_path: Path) -> None:
    study = studies.ablate()
    for row in study["rows"]:
        row["history"] = []
    page = read_page(write_report(study, tmp_path).read_text(encoding="utf-8"))
    table = page.all("table")[0]
    assert [one.text for one in table.all("th", scope="rowgroup")] == ["paper variants", "one part removed"]
    published = [cell.text for row in table.all("tbody")[0].all("tr")[1:] for cell in row.all("td")[2:3]]
    assert published == ["0.1507", "0.1372", "0.1494", "0.1448", "0.1304", "0.1403", "0.0935"]


def strings(value: Any) -> list[str]:
    """Return every text in JSON."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []


def traces(panels: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for panel in panels.values() for trace in panel["data"]]
