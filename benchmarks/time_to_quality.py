"""Seconds of training until validation NDCG@10 reaches .15, .17 and .18 on MovieLens-1M: our models and a rival.

Each model trains on the part `fit` of the split leave-one-out, one model after another, until validation stops it.
After every epoch the same code ranks the same validation queries: the whole catalogue, seen items removed, ties against
the model. Only training counts: not ranking, reading, or setting up. Our models have their default settings, which
Caser chooses for the log. The rival is SASRec of RecTools 0.19 with its softmax loss and 200 items: once with RecTools'
default sizes (d=256, 4 heads), and once with those of our SASRec (d=64, 1 head). It trains in an environment of its
own. Where that is impossible, its rows say why.

    python tools/dev.py bench time_to_quality                                measure everything (hours)
    python -m benchmarks.time_to_quality --models caser gru4rec --threads 2  measure some models; the table has all
    python -m benchmarks.time_to_quality --quick                             try it out on a small simulated log

A training that was interrupted goes on with the same command, and a finished one is not repeated on the same machine
with the same code, settings and number of threads: runs/benchmarks/time_to_quality keeps a curve for each.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch

import caser
from benchmarks import _rectools
from benchmarks._curves import Curve
from benchmarks._tables import STORE
from benchmarks.speed import _rounds
from caser.config import Training
from caser.data import datasets
from caser.data.split import Split
from caser.data.synthetic import chain_world
from caser.evaluation import judge, protocols
from caser.fitting.checks import validation_queries
from caser.fitting.defaults import facts_of
from caser.fitting.fit import Progress, choose
from caser.models import model_settings
from caser.study.keys import digest_of, key_of
from caser.study.recipes import Recipe
from caser.system.digests import digest_of_values
from caser.training.checkpoint import load_checkpoint

NAME = "time_to_quality"
QUALITIES = (0.15, 0.17, 0.18)
BARS = {0.17: (4.0, 1.5), 0.18: (6.0, 3.0)}
"""For a quality, the minutes of training that Caser may need on two cores, and the minutes that we aim for."""


@dataclass(frozen=True)
class Conditions:
    """Under which conditions all models train.

    split    the split
    threads  how many threads compute
    epochs   the largest number of epochs; None for the number of each model
    store    the folder that keeps the curves
    """

    split: Split
    threads: int
    epochs: int | None
    store: Path

    @property
    def facts(self) -> dict[str, Any]:
        """Return what the speed depends on besides the model and the data."""
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        processor = _rounds.machine()["processor"]
        return {"threads": self.threads, "processor": processor, "device": device, "torch": version("torch")}


class Contender(Protocol):
    """A model whose training is measured."""

    @property
    def label(self) -> str:
        """The name in the table."""

    def curve(self, conditions: Conditions) -> Curve:
        """Return the curve under these conditions, as far as it has been measured."""

    def measure(self, conditions: Conditions, curve: Curve) -> None:
        """Train until the curve is finished. Raises UnavailableError if that is impossible here."""


@dataclass(frozen=True)
class Ours:
    """A model of this library with its default settings.

    label  its name in the table
    name   its name in MODELS
    """

    label: str
    name: str

    def curve(self, conditions: Conditions) -> Curve:
        """Return the curve. Other code, settings, data or conditions have another file."""
        recipe = Recipe(model_settings(self.name), _given(conditions) or Training())
        recipe = recipe.for_log(facts_of(conditions.split))
        key = key_of(recipe, digest_of(conditions.split), "caser.fitting.fit", **conditions.facts)
        facts = {**recipe.facts(), **conditions.facts, "date": _rounds.machine()["date"]}
        return Curve(conditions.store / f"{self.name}-{key}", facts)

    def measure(self, conditions: Conditions, curve: Curve) -> None:
        """Choose the number of epochs on validation, as `caser train` does first."""
        checkpoint = curve.path.with_name("checkpoint")

        def tell(progress: Progress) -> None:
            if progress.done:
                record = load_checkpoint(checkpoint)[2]  # it was written before this call, and a resumed run reads it
                curve.keep(record["history"], precision=record["precision"])
                _say(self.label, curve)

        model = model_settings(self.name)
        choice = choose(model, conditions.split, _given(conditions), checkpoint=checkpoint, tell=tell)
        curve.keep(choice.history, is_finished=True)


@dataclass(frozen=True)
class RecTools:
    """SASRec of RecTools. Its training ends as in RecTools' tutorial for this log, which trains at most 100 epochs.

    label     its name in the table
    settings  keyword arguments of SASRecModel; the others keep their defaults
    patience  how many epochs without a better value end the training
    epochs    the largest number of epochs
    """

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    patience: int = 5
    epochs: int = 100

    def curve(self, conditions: Conditions) -> Curve:
        """Return the curve. Other packages, settings, data or conditions have another file."""
        facts = {
            "packages": _rectools.PACKAGES,
            "settings": self.settings,
            "training": {"epochs": conditions.epochs or self.epochs, "patience": self.patience},
            **conditions.facts,
        }
        key = digest_of_values([facts, digest_of(conditions.split)])[:20]
        return Curve(conditions.store / f"rectools-{key}", {**facts, "date": _rounds.machine()["date"]})

    def measure(self, conditions: Conditions, curve: Curve) -> None:
        """Train epoch by epoch, and rank the validation queries after each."""
        split, most = conditions.split, conditions.epochs or self.epochs
        queries = validation_queries(split)
        rules = protocols.resolve(split.name, split, "validation")
        metric = protocols.protocol_named(split.name).validation_metric
        with _rectools.training(split, self.settings, curve.path.parent, conditions.threads) as training:
            while not curve.is_over(self.patience, most):
                epoch = training.train()
                began = time.perf_counter()
                value = judge.value(epoch.scorer, queries, rules, metric)
                judging = epoch.states_seconds + time.perf_counter() - began
                entry = {"number": epoch.number, "seconds": epoch.seconds, "validation": value}
                # After an interruption, an epoch may be trained again.
                before = curve.epochs[: epoch.number - 1]
                curve.keep([*before, {**entry, "validation_seconds": judging}], versions=training.versions)
                _say(self.label, curve)
        curve.keep(curve.epochs, is_finished=True)


_SOFTMAX = {"loss": "softmax", "session_max_len": 200}

CONTENDERS: dict[str, Contender] = {
    "caser": Ours("Caser", "caser"),
    "sasrec": Ours("SASRec", "sasrec"),
    "esasrec": Ours("eSASRec", "esasrec"),
    "gru4rec": Ours("GRU4Rec", "gru4rec"),
    "rectools-sasrec": RecTools("RecTools SASRec", _SOFTMAX),
    "rectools-sasrec-64": RecTools("RecTools SASRec, d=64", {**_SOFTMAX, "n_factors": 64, "n_heads": 1}),
}
"""All rows of the table, by the name that `--models` takes."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure the models that are asked for, and publish the table of all.

    words  the words of the command line; by default those of this process
    """
    options = _parser().parse_args(words)
    log = chain_world(num_users=60, num_items=12, length=12).log if options.quick else datasets.load("ml-1m")
    epochs = options.epochs or (2 if options.quick else None)
    store = options.store / "quick" if options.quick else options.store
    conditions = Conditions(protocols.apply("leave-one-out", log), options.threads, epochs, store)
    curves: dict[str, Curve] = {}
    remarks: dict[str, str] = {}
    with _computing_with(options.threads):
        for name, contender in CONTENDERS.items():
            curves[name] = contender.curve(conditions)
            if name in options.models and not curves[name].is_finished:
                try:
                    contender.measure(conditions, curves[name])
                except _rectools.UnavailableError as error:
                    remarks[name] = f"absent: {error}"
        _publish(curves, remarks, conditions, folder=store if options.quick else None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="which to measure")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="by default one per core")
    parser.add_argument("--epochs", type=int, help="the largest number of epochs; by default that of each model")
    parser.add_argument("--quick", action="store_true", help="two epochs on a simulated log; publishes nothing")
    parser.add_argument("--store", type=Path, default=STORE / NAME, help="the folder that keeps the curves")
    return parser


def _publish(
    curves: Mapping[str, Curve], remarks: Mapping[str, str], conditions: Conditions, folder: Path | None
) -> None:
    """Print and save the table, the curves and the picture; the bars hold for the real log only."""
    rows = [_row(CONTENDERS[name].label, curve, remarks.get(name, "")) for name, curve in curves.items()]
    bars = []
    if folder is None and curves["caser"].is_finished:
        bars = [
            _rounds.Bar(f"training of Caser to NDCG@10 {_text(quality)}", minutes, "min", *demands, "lower")
            for quality, demands in BARS.items()
            for minutes in [_minutes_to(curves["caser"], quality)]
        ]
    _rounds.publish(
        NAME,
        rows,
        bars,
        partial(_draw, curves, conditions) if any(curve.epochs for curve in curves.values()) else None,
        folder,
        **conditions.facts,
        versions={"caser": caser.__version__, "torch": version("torch"), "python": platform.python_version()},
        curves={name: curve.to_dict() for name, curve in curves.items()},
    )
    print(_rounds.as_markdown(rows))


def _row(label: str, curve: Curve, remark: str) -> dict[str, Any]:
    """The row of a model: the seconds of training to each quality, and to the best one."""
    best = max(curve.values, default=None)
    if not curve.is_finished:
        remark = remark or ("not finished" if curve.epochs else "left out by --models")
    return {
        "model": label,
        **{f"seconds to {_text(quality)}": curve.seconds_to(quality) for quality in QUALITIES},
        "best NDCG@10": None if best is None else round(best, 4),
        "seconds to it": None if best is None else curve.seconds_to(best),
        "epochs": len(curve.epochs),
        "remark": remark,
    }


def _draw(curves: Mapping[str, Curve], conditions: Conditions, axes: Any) -> None:
    for name, curve in curves.items():
        if curve.epochs:
            minutes = [seconds / 60 for seconds in curve.seconds]
            axes.plot(minutes, curve.values, marker="o", markersize=3, label=CONTENDERS[name].label)
    for quality in QUALITIES:
        axes.axhline(quality, color="0.8", linewidth=0.8, zorder=0)
    log = conditions.split.log
    title = f"leave-one-out, {log.num_users:,} users, {log.num_items:,} items, threads: {conditions.threads}"
    axes.set(xscale="log", xlabel="minutes of training", ylabel="NDCG@10 on validation", title=title)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.legend(frameon=False, fontsize=8)


def _text(quality: float) -> str:
    return f"{quality:.2f}".removeprefix("0")


def _minutes_to(curve: Curve, quality: float) -> float | None:
    seconds = curve.seconds_to(quality)
    return None if seconds is None else seconds / 60


def _given(conditions: Conditions) -> Training | None:
    """What the command line says about the training of our models."""
    return None if conditions.epochs is None else Training(epochs=conditions.epochs)


def _say(label: str, curve: Curve) -> None:
    """Say on stderr what the last epoch brought."""
    done = f"epoch {len(curve.epochs)}, {curve.seconds[-1]:.0f} s of training, NDCG@10 {curve.values[-1]:.4f}"
    print(f"{label}: {done}", file=sys.stderr, flush=True)


@contextmanager
def _computing_with(threads: int) -> Iterator[None]:
    """Let torch compute with a number of threads in this process, and in those that it starts."""
    before, name = torch.get_num_threads(), "OMP_NUM_THREADS"
    variable = os.environ.get(name)
    torch.set_num_threads(threads)
    os.environ[name] = str(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        del os.environ[name]
        if variable is not None:
            os.environ[name] = variable


if __name__ == "__main__":
    main()
