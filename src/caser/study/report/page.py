"""Builds the page of a study: the verdict, the table, the figures, the findings, the network, and how it was made.

The page is one file that loads nothing. Styles, plotly and still pictures are inside it, and its content security
policy forbids everything else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from caser.study.report import glossary, palette, tables
from caser.study.report.figure import Figure, Series
from caser.study.report.markup import Content, Html, element, embedded, joined, void
from caser.study.report.network import NetworkFacts, filter_name
from caser.study.report.plotly_figures import figure_json, script
from caser.study.report.study import StudyFacts

SEVERITIES = {"warning": "Warning", "note": "Note", "good": "Good"}


def page(
    study: StudyFacts, figures: Sequence[Figure], stills: Mapping[str, bytes], network: NetworkFacts | None
) -> Html:
    """Build the whole page.

    study    the facts of the study               figures  its figures, in the order of the page
    stills   the name of each figure -> its PNG   network  the facts of a Caser network, None if there is none

    Raises KeyError if a part of the study lacks a key that the page needs, MissingDependencyError without plotly.
    """
    drawn = {figure.name: _figure(figure, stills[figure.name]) for figure in figures}
    panels = {_panel_id(figure, i): panel for figure in figures for i, panel in enumerate(figure_json(figure))}
    body = element(
        "body",
        element("a", "Skip to the verdict", href="#verdict", class_="skip"),
        _header(study),
        element("main", *_sections(study, figures, drawn, network)),
        element("footer", _origin(study)),
        _json("palettes", {"light": dict(palette.LIGHT), "dark": dict(palette.DARK)}),
        _json("panels", panels),
        *(element("script", Html(code)) for code in _scripts()),
    )
    return joined(Html("<!doctype html>\n"), element("html", _head(study), body, lang="en"), "\n")


def _head(study: StudyFacts) -> Html:
    # Only the scripts of this page may run; the policy names them by their digest.
    digests = (base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in _scripts())
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'"
    return element(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=policy),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="color-scheme", content="light dark"),
        element("title", f"{study.get('title', 'study')} · caser {study['kind']}"),
        element("style", Html(palette.css() + _package_file("style.css"))),
    )


def _header(study: StudyFacts) -> Html:
    log = (study.get("log") or {}).get("name")
    words = [f"caser {study['kind']}", log, study.get("date")]
    kicker = element("p", " · ".join(str(word) for word in words if word), class_="kicker")
    return element("header", kicker, element("h1", str(study.get("title", "Study"))))


def _sections(
    study: StudyFacts, figures: Sequence[Figure], drawn: Mapping[str, Html], network: NetworkFacts | None
) -> list[Content]:
    """The sections of the page; `drawn` holds each figure as HTML, by its name."""
    # Figures of findings and of the network stand in the sections of these; all others have a section of their own.
    of_findings = {f"finding-{i}" for i in range(1, 1 + len(study.get("findings") or ()))}
    of_network = [figure for figure in figures if figure.name.endswith("-filters")]
    others = [figure for figure in figures if figure not in of_network and figure.name not in of_findings]
    return [
        _verdict(study),
        _table(study) if study.get("rows") else None,
        *(_section(figure.title, drawn[figure.name], _extra(figure, study)) for figure in others),
        _findings(study, drawn),
        _network(network, [drawn[figure.name] for figure in of_network]) if network else None,
    ]


def _section(title: str, *content: Content) -> Html:
    return element("section", element("h2", title), *content)


def _headline(verdict: str) -> tuple[str, str]:
    """Split a verdict into its first sentence and the rest, which is empty if there is none.

    A colon ends the first sentence too: what stands after it is a sentence of its own.

    >>> _headline("Order matters: markov loses 0.1 without it.")
    ('Order matters.', 'Markov loses 0.1 without it.')
    >>> _headline("A beats B by 0.1. The true difference probably lies between 0.05 and 0.15 (95 % interval).")
    ('A beats B by 0.1.', 'The true difference probably lies between 0.05 and 0.15 (95 % interval).')
    """
    ends = [match.start() for match in re.finditer(r"[.:] ", verdict)]
    if not ends:
        return verdict, ""
    rest = verdict[ends[0] + 2 :]
    return f"{verdict[: ends[0]]}.", f"{rest[:1].upper()}{rest[1:]}"


def _verdict(study: StudyFacts) -> Html:
    first, *rest = study.get("verdicts") or [study.get("verdict") or "This study has no verdict."]
    headline, reason = _headline(first)
    return element(
        "section",
        element("h2", "Verdict", class_="hidden"),
        element("p", headline),
        _list([reason, *rest] if reason else rest),
        _advice(study.get("advice") or ()),
        _terms(study),
        class_="verdict",
        id="verdict",
    )


def _advice(advice: Sequence[str]) -> Html | None:
    if not advice:
        return None
    sentences = element("p", advice[0]) if len(advice) == 1 else _list(advice)
    return element("div", element("h2", "Advice"), sentences, class_="advice")


def _terms(study: StudyFacts) -> Html:
    """The conditions under which the verdict was reached, in one line: protocol, users, queries, seeds, openings."""
    owners, seeds, openings = study.get("num_owners"), study.get("seeds") or (), study.get("test_openings")
    protocol = f"protocol {study['protocol']}" if study.get("protocol") else None
    part = f"{study['part']} part" if study.get("part") else None
    terms = [
        ", ".join(word for word in (protocol, part) if word),
        owners and counted(owners, str(study.get("owner") or "user")),
        study.get("num_queries") and counted(study["num_queries"], "query", "queries"),
        seeds and counted(len(seeds), "seed"),
        openings is not None and f"test part used {counted(openings, 'time')}",
    ]
    return element("ul", *(element("li", term) for term in terms if term), class_="terms")


def counted(number: int, word: str, plural: str = "") -> str:
    """Write `number` things in words: `word` if it is one, `plural` otherwise (by default the word with an s).

    >>> counted(1, "seed"), counted(2000, "query", "queries")
    ('1 seed', '2,000 queries')
    """
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def _table(study: StudyFacts) -> Html:
    details = {
        "Every metric": tables.all_metrics(study),
        "Every difference": tables.differences(study),
        "Settings and cost": tables.settings(study),
    }
    folded = [_folded(title, content) for title, content in details.items() if content]
    return _section("The numbers", tables.models(study), _glossary(study), *folded)


def _glossary(study: StudyFacts) -> Html:
    """The words of the main table with their meanings, and what each model does."""
    lists = {"What the words mean": glossary.columns(study), "What each model does": glossary.models(study)}
    folded = [
        element("details", element("summary", title), _facts(words, "words"), class_="glossary", open=True)
        for title, words in lists.items()
        if words
    ]
    return joined(*folded)


def _extra(figure: Figure, study: StudyFacts) -> Html | None:
    every = tables.of_slices(study) if figure.name == "slices" else None
    return _folded("Every model on every slice", every, class_="numbers") if every else None


def _figure(figure: Figure, still: bytes) -> Html:
    picture = f"data:image/png;base64,{base64.b64encode(still).decode()}"
    panels = [
        element(
            "div",
            element("p", panel.title) if panel.title else None,
            element("div", id=_panel_id(figure, i), class_="plot"),
            class_="panel",
        )
        for i, panel in enumerate(figure.panels)
    ]
    drawn = element(
        "div",
        *panels,
        class_=f"panels of-{figure.columns}{' led' * figure.has_lead}",
        role="img",
        aria_label=figure.alternative,
    )
    return element(
        "figure",
        element("figcaption", figure.reading),
        _key(figure.key()),
        drawn,
        void("img", class_="still", src=picture, alt=figure.alternative),
        _folded("This figure in numbers", tables.of_figure(figure), class_="numbers"),
    )


def _key(key: Mapping[str, Series]) -> Html | None:
    if not key:
        return None
    return element("ul", *(element("li", _sample(series), name) for name, series in key.items()), class_="key")


def _sample(series: Series) -> Html:
    """A small picture of the mark of a series, for the key."""
    colour = f"var(--{series.colour})"
    dash = {"second": "5 3", "third": "2 2", "neutral": "5 2 1 2"}.get(series.colour)
    if series.kind == "line":
        mark = element(
            "line", x1="0", y1="6", x2="24", y2="6", stroke=colour, stroke_width="2.5", stroke_dasharray=dash
        )
    elif series.kind == "bars":
        mark = element("rect", x="4", y="1", width="16", height="10", fill=colour)
    elif series.is_hollow:
        mark = element("path", d="M12 1 17 6 12 11 7 6Z", fill="none", stroke=colour, stroke_width="2")
    else:
        mark = element("circle", cx="12", cy="6", r="4.5", fill=colour)
    return element("svg", mark, viewBox="0 0 24 12", aria_hidden="true")


def _findings(study: StudyFacts, drawn: Mapping[str, Html]) -> Html | None:
    findings = study.get("findings") or ()
    if not findings:
        return None
    articles = [_finding(finding, drawn.get(f"finding-{i}")) for i, finding in enumerate(findings, start=1)]
    return _section("Findings", *articles)


def _finding(finding: Mapping[str, Any], figure: Html | None) -> Html:
    severity = finding.get("severity", "note")
    values, facts = finding.get("table"), _facts(finding.get("facts") or {})
    table = tables.of_finding(values, finding["question"]) if values else None
    return element(
        "article",
        element("span", SEVERITIES.get(severity, str(severity)), class_=f"severity {severity}"),
        element("h3", finding["question"]),
        element("p", finding["sentence"]),
        figure,
        _folded("The numbers behind this", joined(facts, table)) if facts or table else None,
        class_="finding",
    )


def _network(facts: NetworkFacts, pictures: Sequence[Html]) -> Html:
    best_items = [_best_items(one) for one in facts["horizontal"]]
    reading = (
        "Each column is one row of a filter, oldest item first. It lists the items that this row answers to most, with "
        "their scores. Read from left to right, the columns give the sequences of items that the filter looks for."
    )
    heading = [element("h3", "Items that the horizontal filters look for"), element("p", reading)] if best_items else []
    return _section("Inside the network", *pictures, *heading, *best_items)


def _best_items(facts: Mapping[str, Any]) -> Html:
    """The items with the highest scores for each row of one horizontal filter."""
    columns = ["filter", *(f"item {row}" for row in range(1, facts["height"] + 1))]
    cells = [
        element("ol", *(element("li", _item(one), " ", tables.number(one["score"], 2)) for one in items))
        for items in facts["items"]
    ]
    name = filter_name(facts)
    return tables.table(f"Items that {name} answers to most, with their scores", columns, [[name, *cells]], True)


def _item(one: Mapping[str, Any]) -> str:
    return str(one["item_id"] if one["title"] is None else one["title"])


def _origin(study: StudyFacts) -> Html:
    """Everything that is needed to reproduce the numbers, and to recognise them."""
    facts = {key: study.get(key) for key in ("command", "fingerprint", "protocol", "seeds")}
    facts |= {f"log, {key}": one for key, one in (study.get("log") or {}).items()}
    facts |= {"caser": study.get("version"), "date": study.get("date")}
    facts |= {f"machine, {key}": one for key, one in (study.get("machine") or {}).items()}
    known = {key: one for key, one in facts.items() if one is not None}
    known |= {
        key: element("code", str(known[key])) for key in ("command", "fingerprint", "log, digest") if key in known
    }
    return element("section", element("h2", "How this was made"), _facts(known), _notes(study), class_="made")


def _notes(study: StudyFacts) -> Html | None:
    notes = study.get("notes") or ()
    return joined(element("h3", "Notes"), _list(notes)) if notes else None


def _facts(facts: Mapping[str, Any], class_: str | None = None) -> Html | None:
    if not facts:
        return None
    pairs = (joined(element("dt", key), element("dd", tables.any_value(one))) for key, one in facts.items())
    return element("dl", *pairs, class_=class_)


def _list(sentences: Sequence[str]) -> Html | None:
    return element("ul", *(element("li", sentence) for sentence in sentences)) if sentences else None


def _folded(title: str, content: Html, class_: str | None = None) -> Html:
    return element("details", element("summary", title), content, class_=class_)


def _panel_id(figure: Figure, i: int) -> str:
    return f"{figure.name}-{i}"


def _json(id_: str, value: Any) -> Html:
    return element("script", embedded(value), type="application/json", id=id_)


def _scripts() -> tuple[str, str]:
    return script(), _package_file("report.js")


def _package_file(name: str) -> str:
    return files("caser.study.report").joinpath(name).read_text(encoding="utf-8")
