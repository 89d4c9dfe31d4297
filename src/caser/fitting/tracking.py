"""Sends the epochs of a training to a tracker of experiments: TensorBoard or MLflow.

A sink takes numbers with a step, and facts as text. `tracking` turns the `Progress` that a fit tells into both. Nothing
else in the library knows of trackers, and their packages are extras. A tracker that fails while a model trains is left
alone with a warning: the training goes on.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from caser.answering.recommender import Recommender
from caser.errors import ConfigError, did_you_mean
from caser.fitting.progress import Progress, Tell
from caser.system.extras import require

EXPERIMENT = "caser"
"""The experiment of MLflow, where the environment names none."""


_LONGEST = 500
"""Letters of a fact that every server of MLflow takes."""


class Sink(Protocol):
    """Where numbers and facts go."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Keep numbers by name, of one step.

        values  the numbers      step  such as the epoch
        """

    def describe(self, facts: Mapping[str, str]) -> None:
        """Keep facts as text, by name.

        facts  such as the settings of the model
        """

    def close(self, *, failed: bool) -> None:
        """End the run.

        failed  whether the training ended with an error
        """


class TensorBoard:
    """A folder of TensorBoard. Each run has a folder of its own in it, so that TensorBoard shows them side by side."""

    def __init__(self, place: str, name: str) -> None:
        """Open the files of a run.

        place  the folder      name  of the run

        Raises MissingDependencyError without tensorboardX.
        """
        require("tensorboard", "--track tensorboard")
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(os.path.join(os.path.expanduser(place), name), max_queue=1)  # noqa: PTH111, PTH118

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to the curve of each number, and write it; as in `Sink`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def describe(self, facts: Mapping[str, str]) -> None:
        """Add a table of facts to the page of texts."""
        rows = "\n".join(f"| {name} | {_cell(value)} |" for name, value in facts.items())
        self._writer.add_text("run", f"| fact | value |\n| --- | --- |\n{rows}")

    def close(self, *, failed: bool) -> None:
        """Write what is left, and close the files."""
        if failed:
            self._writer.add_text("run", "the training ended with an error")
        self._writer.close()


class MLflow:
    """A run of an MLflow server, or of a database of its own."""

    def __init__(self, place: str, name: str) -> None:
        """Begin a run in the experiment that MLFLOW_EXPERIMENT_NAME names, or in `caser`.

        place  the address, such as http://localhost:5000 or sqlite:///mlflow.db      name  of the run

        Raises MissingDependencyError without mlflow-skinny, and ConfigError if nothing answers at the address.
        """
        require("mlflow", "--track mlflow")
        # MLflow reads these when it is imported. It would report its use, and ask a server that is down for minutes.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        from mlflow import MlflowClient

        try:
            self._client: Any = MlflowClient(tracking_uri=place)
            experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
            known = self._client.get_experiment_by_name(experiment)
            number = known.experiment_id if known else self._client.create_experiment(experiment)
            self._run: str = self._client.create_run(number, run_name=name).info.run_id
        except Exception as error:  # of MLflow, of its HTTP client or of its database
            raise ConfigError(
                f"--track mlflow must name a server or database that answers; got {place}: {_first_line(error)}"
            ) from error

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log each number under a name that MLflow allows: hit_at_10 for hit@10."""
        now = int(time.time() * 1000)
        for name, value in values.items():
            self._client.log_metric(self._run, name.replace("@", "_at_"), value, timestamp=now, step=step)

    def describe(self, facts: Mapping[str, str]) -> None:
        """Log each fact as a parameter."""
        for name, value in facts.items():
            self._client.log_param(self._run, name, value[:_LONGEST])

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")


SINKS: Mapping[str, Callable[[str, str], Sink]] = {"tensorboard": TensorBoard, "mlflow": MLflow}
"""The trackers by name. Each makes a sink from a place and the name of a run."""


@dataclass
class Tracker:
    """Sends what a fit tells to a sink; `tracking` makes it."""

    sink: Sink | None
    place: str | None

    def __call__(self, progress: Progress) -> None:
        """Send the numbers of an epoch that has ended; a `Tell` of a fit.

        progress  what the fit tells
        """
        if progress.done is not None:
            values = numbers_of(progress)
            self._send(lambda sink: sink.log(values, progress.epoch))

    def beside(self, tell: Tell) -> Tell:
        """Return a function that tells both another listener and the tracker.

        tell  the other listener
        """

        def tell_both(progress: Progress) -> None:
            tell(progress)
            self(progress)

        return tell_both

    def finish(self, recommender: Recommender) -> None:
        """Send the facts of the run that was trained.

        recommender  the fitted model
        """
        if self.sink is None:
            return
        facts = facts_of(recommender)
        self._send(lambda sink: sink.describe(facts))

    def close(self, *, failed: bool) -> None:
        """End the run of the tracker.

        failed  whether the training ended with an error
        """
        self._send(lambda sink: sink.close(failed=failed))

    def _send(self, work: Callable[[Sink], None]) -> None:
        """Do something with the sink, if there is one; if it fails, say so, and leave it alone from now on."""
        if self.sink is None:
            return
        try:
            work(self.sink)
        except Exception as error:  # whatever a tracker does, the training goes on
            self.sink = None
            warnings.warn(
                f"--track {self.place} no longer takes what is sent ({_first_line(error)}). The training goes on "
                "without it.",
                stacklevel=2,
            )


@contextmanager
def tracking(place: str | None, name: str) -> Iterator[Tracker]:
    """Track a training: within, the tracker takes the epochs that a fit tells.

    place  the tracker and where it is: tensorboard:FOLDER or mlflow:ADDRESS; None tracks nothing
    name   the name of the run in the tracker

    Raises ConfigError, before any work begins, for another tracker, and for an address that does not answer or that
    holds a password; MissingDependencyError if the package of the tracker is missing.
    """
    sink = None
    if place is not None:
        kind, address = parse_place(place)
        sink = SINKS[kind](address, name)
    tracker = Tracker(sink, place)
    failed = True
    try:
        yield tracker
        failed = False
    finally:
        tracker.close(failed=failed)


def parse_place(place: str) -> tuple[str, str]:
    """Return the name of a tracker and its place.

    place  such as "tensorboard:runs/board" or "mlflow:http://localhost:5000"

    Raises ConfigError for a name that is no tracker, for no place, and for a password, which a manifest would keep.

    >>> parse_place("mlflow:http://localhost:5000")
    ('mlflow', 'http://localhost:5000')
    """
    kind, _, address = place.partition(":")
    if kind not in SINKS or not address:
        hint = did_you_mean(kind, SINKS) if kind not in SINKS else "a place is missing."
        raise ConfigError(f"--track must be tensorboard:FOLDER or mlflow:ADDRESS; got {place!r}: {hint}")
    if urlsplit(address).password:
        raise ConfigError(
            "--track must not hold a password, because the run keeps the command. Set it in the environment: "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        )
    return kind, address


def numbers_of(progress: Progress) -> dict[str, float]:
    """Return the numbers of an epoch that has ended, by name.

    progress  as a fit tells it after an epoch

    The names begin with the stage, and with the model and the trial if there are several: "choosing/loss",
    "gru4rec/trial 2/choosing/ndcg@10".
    """
    epoch = progress.done
    if epoch is None:
        return {}
    several = progress.model is not None
    parts = [progress.model] if progress.model is not None else []
    parts += [f"trial {progress.trial}"] if several and progress.trial is not None else []
    prefix = "/".join([*parts, progress.stage])
    values = {"loss": epoch.loss, "seconds": epoch.seconds, "positions per second": epoch.num_states / epoch.seconds}
    if progress.validation is not None:
        values[progress.metric] = progress.validation
    return {f"{prefix}/{name}": float(value) for name, value in values.items()}


def facts_of(recommender: Recommender) -> dict[str, str]:
    """Return what a tracker keeps of a run as text: its settings, its training and its log.

    recommender  the fitted model
    """
    manifest, model = recommender.artefact.manifest, recommender.artefact.config
    groups = {"model": model.model_dump(mode="json"), "training": manifest["training"] or {}}
    facts = {f"{group}.{name}": str(value) for group, values in groups.items() for name, value in values.items()}
    named = {name: str(manifest[name]) for name in ("protocol", "fingerprint", "train_on", "epochs")}
    return {"model": model.name, **facts, **named, "log.digest": str(manifest["log"]["digest"])}


def _cell(text: str) -> str:
    """Text in a cell of a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
