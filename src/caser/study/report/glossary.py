"""Explains the words of a report: the columns of its tables, its metrics, the models, and the names of variants.

Each meaning is the end of a sentence that begins with the word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from caser.evaluation.metrics import METRICS
from caser.study.report.study import StudyFacts, is_counting, published, reference_label, rows, source

Words = dict[str, str]
"""A word -> what it means."""

KINDS: Mapping[bool, tuple[str, str]] = {
    True: ("simple", "is a model that is fitted in one pass over the log, by counting or with a formula"),
    False: ("trained", "is a model that learns step by step, in several passes over the log (epochs)"),
}
"""Whether a model has no epochs -> the word for it, and what the word means."""

BEYOND: Mapping[str, str] = {
    "coverage": "is the share of all items that appear in the top {k} of at least one user: 1 if every item does",
    "gini": "says how unevenly items are recommended in the top {k}: 0 if all equally often, 1 if always the same one",
    "head_share": "is the share of the top {k} that are popular items (those that make up half of all interactions)",
    "novelty": "says how unknown the items of the top {k} are: the mean of -log2(share of all interactions), in bits",
    "diversity": "is the mean distance of two items of a top {k}: 0 if the same users had both, 1 if no user had both",
}
"""What the measures beyond accuracy mean, by the part of their name before the @."""

SLICES: Mapping[str, str] = {
    "history": "History: the number of items before the target.",
    "popularity": "Popularity: the head is the fewest items with half of the interactions that train, the middle are "
    "those with the next 30 %, and the tail are the others.",
    "position": "Position: the place of the target among those of its user or session.",
    "repeat": "Repeat: whether the user had the target before.",
    "earlier": "Earlier: the number of items in earlier sessions.",
    "training": "Training: whether the part that trains has the target at all.",
}
"""What the slices of targets are, by their names."""

_PARTS = {
    "p": "the user vector, which holds a user's lasting taste",
    "v": "the vertical filters, which weigh the single items",
    "h": "the horizontal filters, which read several items in a row",
}
_CHANGES = {
    "without height": "leaves out the horizontal filters that read so many items in a row",
    "phi_c identity": "leaves out the activation function after the convolutions",
    "phi_a identity": "leaves out the activation function after the layer that joins the filters",
    "without dropout": "switches no units off at random while it trains",
    "T = 1": "learns only the very next item of a window, and none after it",
}
"""Changes of an ablation, by how their label begins."""


def columns(study: StudyFacts) -> Words:
    """Return the words in the headings and cells of the main table of `study`, with their meanings."""
    metric, against, members = study["metric"], reference_label(study), rows(study)
    owner = study.get("owner") or "user"
    words: Words = {}
    kinds = {is_counting(row) for row in members}
    if len(kinds) > 1:
        words |= dict(KINDS.values())
    words |= dict(_metrics(study))
    words["±"] = (
        f"is half of the 95 % interval: had other {owner}s been tested, {metric} would most likely be within ± of the "
        "value"
    )
    if against is not None:
        words[f"difference to {against}"] = f"is {metric} minus the {metric} of {against}, on the same {owner}s"
        words["better, worse"] = "mark a difference that is unlikely to be chance (less than 5 %)"
        words["no clear difference"] = "means that the difference may be chance: it is no proof that both are equal"
        if any((row.get("difference") or {}).get("is_lost_to_correction") for row in members):
            words["not after correction"] = _LOST
    if any(metric in published(study).get(row["label"], {}) for row in members):
        words[source(study)] = f"is the {metric} that this publication gives"
    words |= dict(_beyond(study))
    words["training, s"] = "is the number of seconds that it took to train the model once"
    if any(row.get("parameters") for row in members):
        words["parameters"] = "is how many numbers the model has learned"
    return words


_LOST = (
    "means that the 95 % interval does not contain 0, but that the study makes so many comparisons that one such "
    "interval may be chance (Holm's correction)"
)


def models(study: StudyFacts) -> Words:
    """Return what each model of `study` does, by its name, and what the names of variants mean in an ablation."""
    abouts = {str(row.get("model") or row["label"]): str(row["about"]) for row in rows(study) if row.get("about")}
    return abouts | dict(_variants(study))


def _metrics(study: StudyFacts) -> Iterator[tuple[str, str]]:
    """Every metric, the main one first."""
    main = study["metric"]
    for name in dict.fromkeys((main, *study["metrics"])):
        base, _, k = name.partition("@")
        reading = METRICS[base].reading if base in METRICS else ""
        yield name, f"{reading.format(k=k)}; higher is better" if reading else "is higher for a better model"


def _beyond(study: StudyFacts) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(name for row in rows(study) for name in row.get("beyond") or {}):
        base, _, k = name.partition("@")
        if base in BEYOND:
            yield name.replace("_", " "), BEYOND[base].format(k=k)


def _variants(study: StudyFacts) -> Iterator[tuple[str, str]]:
    if study["kind"] != "ablate":
        return
    labels = [str(row.get("setting") or row["label"]) for row in rows(study)]
    letters = {letter for label in labels if set(label) <= set(_PARTS) for letter in label}
    kept = {letter: part for letter, part in _PARTS.items() if letter in letters}
    if kept:
        full = max((label for label in labels if set(label) <= set(_PARTS)), key=len)
        yield (
            full,
            "is the full model. A shorter name lists the parts that a variant keeps: "
            + "; ".join(f"{letter} is {part}" for letter, part in kept.items()),
        )
    for start, meaning in _CHANGES.items():
        if any(label.startswith(start) for label in labels):
            yield start, meaning
