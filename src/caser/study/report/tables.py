"""Builds the tables of a report: models with intervals, every metric, settings, and the numbers of a figure.

A number is a `<data>` element, which holds the exact value next to the rounded one. A table scrolls inside its own
frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from caser.study.report.figure import Figure
from caser.study.report.glossary import KINDS
from caser.study.report.markup import Content, Html, element, joined
from caser.study.report.study import (
    Row,
    StudyFacts,
    best_counting,
    estimate,
    groups,
    is_counting,
    published,
    ranked,
    reference_label,
    rows,
    source,
)


def table(caption: str, columns: Sequence[Content], body: Iterable[Sequence[Content]], is_quiet: bool = False) -> Html:
    """Build a table whose first row and first column are headers.

    caption  what the table shows                   columns   the headers of the first row
    body     the other rows, each with its header   is_quiet  whether only screen readers get the caption
    """
    return _grouped(caption, columns, {"": body}, is_quiet)


def _grouped(
    caption: str, columns: Sequence[Content], bodies: Mapping[str, Iterable[Sequence[Content]]], is_quiet: bool = False
) -> Html:
    inner = element(
        "table",
        element("caption", element("span", caption), class_="hidden" if is_quiet else None),
        element("thead", element("tr", *(element("th", column, scope="col") for column in columns))),
        *(_body(title, body, len(columns)) for title, body in bodies.items()),
    )
    frame = element("div", inner, class_="frame", role="region", aria_label=caption, tabindex="0")
    hint = element("p", "Wider than the screen: scroll sideways for more columns.", class_="hint")
    return element("div", hint, frame, class_="table")


def _body(title: str, body: Iterable[Sequence[Content]], width: int) -> Html:
    lines = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))
        for first, *rest in body
    ]
    head = element("tr", element("th", title, scope="rowgroup", colspan=str(width))) if title else None
    return element("tbody", head, *lines)


def models(study: StudyFacts) -> Html:
    """Build the main table of `study`: each model with its quality, difference to the reference, breadth and cost."""
    metric, columns = study["metric"], _columns(study)
    bodies = {
        title: [[cell(study, row) for _, cell in columns] for row in _ordered(study, members, metric)]
        for title, members in groups(rows(study)).items()
    }
    caption = "All models are tested in the same way. The words below the table explain its columns."
    return _grouped(caption, [title for title, _ in columns], bodies)


def all_metrics(study: StudyFacts) -> Html:
    """Build the table of every metric of every model of `study`, with the ends of its interval."""
    metrics = study["metrics"]
    body = [
        [_name(study, row), *(_ends(*estimate(row, metric)) for metric in metrics)]
        for row in _ordered(study, rows(study), study["metric"])
    ]
    return table("Every metric, with its 95 % interval", ["model", *metrics], body)


def differences(study: StudyFacts) -> Html | None:
    """Build the table of every difference of `study`, with interval and p-value; None if it has no differences."""
    members = [row for row in _ordered(study, rows(study), study["metric"]) if row.get("difference")]
    columns = ["model", "against", "metric", "difference", "p-value", "corrected p-value", "needed", ""]
    body = [_difference(study, row, row["difference"]) for row in members]
    caption = (
        "Differences between two models on the same targets, with 95 % intervals. The p-value is the probability of a "
        "difference at least as large if the two models were equally good; below 0.05 it is unlikely to be chance. The "
        "more comparisons a study makes, the more often one looks clear by chance: the corrected p-value allows for "
        'that (Holm\'s correction). "Needed" is how large a difference must be for this many users or sessions to '
        f"show it in 4 of 5 tests. {_VERDICTS}"
    )
    return table(caption, columns, body) if members else None


def settings(study: StudyFacts) -> Html:
    """Build the table of the settings of every model of `study`, and of its time and memory."""
    body = [
        [
            _name(study, row),
            _pairs(row.get("settings") or {}),
            _pairs(row.get("training") or {}),
            ", ".join(map(str, row.get("epochs") or [])) or "–",
            *(_seconds(row, part) for part in ("choosing", "training", "ranking")),
            number(row.get("peak_memory_mb"), 0),
        ]
        for row in _ordered(study, rows(study), study["metric"])
    ]
    spent = ["choosing, s", "training, s", "ranking, s"]
    columns = ["model", "settings", "training", "epochs by seed", *spent, "peak memory, MB"]
    return table("Settings and cost of every model", columns, body)


def of_slices(study: StudyFacts) -> Html | None:
    """Build the table of every model of `study` on every slice; None if it has no slices."""
    labels = [row["label"] for row in ranked(rows(study), study["metric"])]
    body = [
        [f"{name}: {bucket}", number(one["num_targets"]), *(_slice(one, label, study["metric"]) for label in labels)]
        for name, buckets in (study.get("slices") or {}).items()
        for bucket, one in buckets.items()
    ]
    caption = f"{study['metric']} on every slice, with its 95 % interval"
    return table(caption, ["slice", "targets", *labels], body) if body else None


def of_figure(figure: Figure) -> Html:
    """Build the table of all numbers that `figure` shows."""
    lines = list(figure.rows())
    titles = ["panel", "series", "where", "value", "from", "to"]
    # Leave out the columns that no row fills, except the values.
    filled = [i for i in range(len(titles)) if i == 3 or any(row[i] not in ("", None) for row in lines)]
    cells = [[*row[:3], *(number(value) for value in row[3:])] for row in lines]
    return table(
        f"{figure.title}, in numbers", [titles[i] for i in filled], [[row[i] for i in filled] for row in cells]
    )


def of_finding(values: Mapping[str, Any], caption: str) -> Html:
    """Build the table of a finding from its `values`, which have `columns` and `rows`; `caption` is its question."""
    body = [list(map(any_value, row)) for row in values["rows"]]
    return table(caption, list(map(str, values["columns"])), body, True)


def number(value: float | int | None, digits: int = 4, sign: str = "") -> Html:
    """Write a number, with its exact value in the markup; None becomes a dash.

    value  the number      digits  digits after the point, for floats      sign  "+" writes a plus as well

    >>> number(0.123456), number(1234), number(None)
    ('<data value="0.123456">0.1235</data>', '<data value="1234">1,234</data>', '–')
    """
    if value is None:
        return Html("–")
    text = f"{value:{sign},}" if isinstance(value, int) else f"{value:{sign},.{digits}f}"
    return element("data", text.replace("-", "\u2212"), value=repr(value))


def any_value(value: Any) -> Content:
    """Write any JSON `value` into a cell: numbers as numbers, lists with commas, everything else as text."""
    if isinstance(value, Html):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, int | float):
        return number(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# Cells

Cell = Callable[[StudyFacts, Row], Content]
"""A function that writes one cell of a row."""

_VERDICTS = (
    '"Better" and "worse" mark a difference that is unlikely to be chance (less than 5 %, corrected for the number of '
    'comparisons). "No clear difference" means that it may be chance.'
)


def _columns(study: StudyFacts) -> list[tuple[str, Cell]]:
    """Title and cell of each column for which this study has values."""
    metric, members = study["metric"], rows(study)
    columns: list[tuple[str, Cell]] = [("model", _name), (metric, _quality)]
    against = reference_label(study)
    if against is not None:
        columns.append((f"difference to {against}", _difference_in_short))
    if any(metric in published(study).get(row["label"], {}) for row in members):
        columns.append((source(study), lambda study, row: number(published(study).get(row["label"], {}).get(metric))))
    columns += [(name.replace("_", " "), _beyond(name)) for name in _beyond_names(study)]
    columns.append(("training, s", lambda _, row: _seconds(row, "training")))
    if any(row.get("parameters") for row in members):
        columns.append(("parameters", lambda _, row: number(row.get("parameters"))))
    return columns


def _beyond_names(study: StudyFacts) -> list[str]:
    return list(dict.fromkeys(name for row in rows(study) for name in row.get("beyond") or {}))


def _beyond(name: str) -> Cell:
    return lambda _, row: number((row.get("beyond") or {}).get(name), 3)


def _seconds(row: Row, part: str) -> Html:
    spent = (row.get("seconds") or {}).get(part)
    return number(None if spent is None else float(spent), 0 if (spent or 0) >= 100 else 2)


def _name(study: StudyFacts, row: Row) -> Html:
    """The label of a row with its badges, and with its kind if the study has models of both kinds."""
    badges = [joined(" ", element("span", word, class_="badge")) for word in _badges(study, row)]
    has_both_kinds = len({is_counting(one) for one in rows(study)}) > 1
    kind = element("small", KINDS[is_counting(row)][0], *badges) if has_both_kinds else joined(*badges)
    return joined(row["label"], kind)


def _badges(study: StudyFacts, row: Row) -> list[str]:
    """The words that mark a special row: the best simple model, and the chosen settings of a sweep."""
    facts, setting = study.get("sweep") or {}, row.get("setting")
    applies = {
        "best simple model": best_counting(study) is row,
        "enough": setting is not None and setting == facts.get("smallest_within_noise"),
        "best": setting is not None and setting == facts.get("best"),
    }
    return [word for word, is_so in applies.items() if is_so]


def _quality(study: StudyFacts, row: Row) -> Html:
    value, low, high = estimate(row, study["metric"])
    return joined(number(value), _half_width(low, high))


def _half_width(low: float | None, high: float | None) -> Html | None:
    if low is None or high is None:
        return None
    return joined(" ", element("span", "± ", number((high - low) / 2), class_="quiet"))


def _ends(value: float | None, low: float | None, high: float | None) -> Html:
    ends = None
    if low is not None and high is not None:
        ends = element("small", number(low), " to ", number(high))
    return joined(number(value), ends)


def _difference_in_short(study: StudyFacts, row: Row) -> Html:
    difference = row.get("difference")
    if not difference or difference.get("value") is None:
        return Html("–")
    against = None if difference["against"] == reference_label(study) else f" to {difference['against']}"
    return joined(
        number(difference["value"], sign="+"),
        _half_width(difference.get("low"), difference.get("high")),
        against,
        _mark(difference),
    )


def _mark(difference: Mapping[str, Any]) -> Html:
    """The words for a difference: whether it is clear, and in which direction."""
    if not difference.get("is_shown") or difference.get("value") is None:
        why = ", not after correction" if difference.get("is_lost_to_correction") else ""
        return element("small", f"no clear difference{why}", class_="unshown")
    if difference["value"] > 0:
        return element("small", "▲ better", class_="shown")
    return element("small", "▼ worse", class_="shown worse")


def _difference(study: StudyFacts, row: Row, difference: Mapping[str, Any]) -> list[Content]:
    return [
        _name(study, row),
        difference["against"],
        difference["metric"],
        _ends(difference.get("value"), difference.get("low"), difference.get("high")),
        number(difference.get("p_value")),
        number(difference.get("p_adjusted")),
        number(difference.get("smallest_detectable") or None),
        _mark(difference),
    ]


def _slice(bucket: Mapping[str, Any], label: str, metric: str) -> Html:
    found = (bucket["models"].get(label) or {}).get(metric) or {}
    return _ends(found.get("value"), found.get("low"), found.get("high"))


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {any_text(value)}" for name, value in values.items()) or "–"


def any_text(value: Any) -> str:
    """Write the `value` of a setting as text."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ordered(study: StudyFacts, members: Sequence[Row], metric: str) -> list[Row]:
    """The rows with the best first; those of a sweep in the order of its settings."""
    return list(members) if study["kind"] == "sweep" else ranked(members, metric)
