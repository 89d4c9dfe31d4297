"""The tables of a report: models with intervals, every metric, settings, and what a figure shows in numbers.

Numbers are `<data>` elements, which hold the exact value beside the rounded one. A table scrolls inside its own frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from caser.study.report.figure import Figure
from caser.study.report.markup import Content, Html, element, joined
from caser.study.report.study import (
    Row,
    Study,
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
    """A table with headers in its first row and its first column; `is_quiet` hides the caption from the eye."""
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
    return element("div", inner, class_="frame", role="region", aria_label=caption, tabindex="0")


def _body(title: str, body: Iterable[Sequence[Content]], width: int) -> Html:
    lines = [
        element("tr", element("th", first, scope="row"), *(element("td", one) for one in rest)) for first, *rest in body
    ]
    head = element("tr", element("th", title, scope="rowgroup", colspan=str(width))) if title else None
    return element("tbody", head, *lines)


def models(study: Study) -> Html:
    """Every model: quality with its interval, the difference to the best counting model, breadth and cost."""
    metric, columns = study["metric"], _columns(study)
    bodies = {
        title: [[cell(study, row) for _, cell in columns] for row in _ordered(study, members, metric)]
        for title, members in groups(rows(study)).items()
    }
    caption = f"All under one protocol, {metric} first; ± is half of the 95 % interval"
    return _grouped(caption, [title for title, _ in columns], bodies)


def all_metrics(study: Study) -> Html:
    """Every metric of every model, with the ends of its interval."""
    metrics = study["metrics"]
    body = [
        [_name(study, row), *(_ends(*estimate(row, metric)) for metric in metrics)]
        for row in _ordered(study, rows(study), study["metric"])
    ]
    return table("Every metric, with its 95 % interval", ["model", *metrics], body)


def differences(study: Study) -> Html | None:
    """Every paired difference, with its interval and its chance of being none."""
    found = [row for row in _ordered(study, rows(study), study["metric"]) if row.get("difference")]
    columns = ["model", "against", "metric", "difference", "p", "p, adjusted", "smallest it could show", ""]
    body = [_difference(study, row, row["difference"]) for row in found]
    return table("Paired differences, p adjusted for the number of comparisons", columns, body) if found else None


def settings(study: Study) -> Html:
    """How every model was set and trained."""
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
    return table("Settings and cost", ["model", "settings", "training", "epochs by seed", *spent, "memory, MB"], body)


def of_slices(study: Study) -> Html | None:
    """Every model on every slice."""
    labels = [row["label"] for row in ranked(rows(study), study["metric"])]
    body = [
        [f"{name}: {bucket}", number(one["num_targets"]), *(_slice(one, label, study["metric"]) for label in labels)]
        for name, buckets in (study.get("slices") or {}).items()
        for bucket, one in buckets.items()
    ]
    return table(f"{study['metric']} on every slice", ["slice", "targets", *labels], body) if body else None


def of_figure(figure: Figure) -> Html:
    """All that a figure shows, in numbers."""
    found = list(figure.rows())
    titles = ["panel", "series", "where", "value", "from", "to"]
    shown = [i for i in range(len(titles)) if i == 3 or any(row[i] not in ("", None) for row in found)]
    cells = [[*row[:3], *(number(one) for one in row[3:])] for row in found]
    return table(f"{figure.title}, in numbers", [titles[i] for i in shown], [[row[i] for i in shown] for row in cells])


def of_finding(told: Mapping[str, Any], caption: str) -> Html:
    """The table that a finding brings."""
    return table(caption, list(map(str, told["columns"])), [list(map(any_value, row)) for row in told["rows"]], True)


def number(value: float | int | None, digits: int = 4, sign: str = "") -> Html:
    """A number with its exact value beside it; a dash for none.

    >>> number(0.123456), number(1234), number(None)
    ('<data value="0.123456">0.1235</data>', '<data value="1234">1,234</data>', '–')
    """
    if value is None:
        return Html("–")
    text = f"{value:{sign},}" if isinstance(value, int) else f"{value:{sign},.{digits}f}"
    return element("data", text.replace("-", "\u2212"), value=repr(value))


def any_value(value: Any) -> Content:
    """Whatever JSON holds, for a cell: numbers as numbers, lists joined, the rest as text."""
    if isinstance(value, Html):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, int | float):
        return number(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# Cells

Cell = Callable[[Study, Row], Content]


def _columns(study: Study) -> list[tuple[str, Cell]]:
    """Title and cell of each column that has anything to say of this study."""
    metric, found = study["metric"], rows(study)
    columns: list[tuple[str, Cell]] = [("model", _name), (metric, _quality)]
    against = reference_label(study)
    if against is not None:
        columns.append((f"difference to {against}", _shown))
    if any(metric in published(study).get(row["label"], {}) for row in found):
        columns.append((source(study), lambda study, row: number(published(study).get(row["label"], {}).get(metric))))
    beyond = dict.fromkeys(name for row in found for name in row.get("beyond") or {})
    columns += [(name.replace("_", " "), _beyond(name)) for name in beyond]
    columns.append(("training, s", lambda _, row: _seconds(row, "training")))
    if any(row.get("parameters") for row in found):
        columns.append(("parameters", lambda _, row: number(row.get("parameters"))))
    return columns


def _beyond(name: str) -> Cell:
    return lambda _, row: number((row.get("beyond") or {}).get(name), 3)


def _seconds(row: Row, part: str) -> Html:
    spent = (row.get("seconds") or {}).get(part)
    return number(None if spent is None else float(spent), 0 if (spent or 0) >= 100 else 2)


def _name(study: Study, row: Row) -> Html:
    words = [word for word, is_so in _titles(study, row).items() if is_so]
    badges = [joined(" ", element("span", word, class_="badge")) for word in words]
    has_both = len({is_counting(one) for one in rows(study)}) > 1
    kind = element("small", "counts" if is_counting(row) else "learns", *badges) if has_both else joined(*badges)
    return joined(row["label"], kind)


def _titles(study: Study, row: Row) -> dict[str, bool]:
    """What a row is known for."""
    best, told, setting = best_counting(study), study.get("sweep") or {}, row.get("setting")
    return {
        "best counting model": best is row,
        "enough": setting is not None and setting == told.get("smallest_within_noise"),
        "best": setting is not None and setting == told.get("best"),
    }


def _quality(study: Study, row: Row) -> Html:
    value, low, high = estimate(row, study["metric"])
    return joined(number(value), _half(low, high))


def _half(low: float | None, high: float | None) -> Html | None:
    if low is None or high is None:
        return None
    return joined(" ", element("span", "± ", number((high - low) / 2), class_="quiet"))


def _ends(value: float | None, low: float | None, high: float | None) -> Html:
    ends = None
    if low is not None and high is not None:
        ends = element("small", number(low), " to ", number(high))
    return joined(number(value), ends)


def _shown(study: Study, row: Row) -> Html:
    told = row.get("difference")
    if not told or told.get("value") is None:
        return Html("–")
    against = None if told["against"] == reference_label(study) else f" to {told['against']}"
    return joined(number(told["value"], sign="+"), _half(told.get("low"), told.get("high")), against, _mark(told))


def _mark(told: Mapping[str, Any]) -> Html:
    if not told.get("is_shown") or told.get("value") is None:
        return element("small", "not shown", class_="unshown")
    if told["value"] > 0:
        return element("small", "▲ shown", class_="shown")
    return element("small", "▼ shown", class_="shown worse")


def _difference(study: Study, row: Row, told: Mapping[str, Any]) -> list[Content]:
    return [
        _name(study, row),
        told["against"],
        told["metric"],
        _ends(told.get("value"), told.get("low"), told.get("high")),
        number(told.get("p")),
        number(told.get("p_adjusted")),
        number(told.get("smallest_detectable")),
        _mark(told),
    ]


def _slice(bucket: Mapping[str, Any], label: str, metric: str) -> Html:
    told = (bucket["models"].get(label) or {}).get(metric) or {}
    return _ends(told.get("value"), told.get("low"), told.get("high"))


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {any_text(value)}" for name, value in values.items()) or "–"


def any_text(value: Any) -> str:
    """A value of a setting, as text."""
    return (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _ordered(study: Study, found: Sequence[Row], metric: str) -> list[Row]:
    """The best first; a sweep in the order it was swept."""
    return list(found) if study["kind"] == "sweep" else ranked(found, metric)
