"""The log that a run holds is the log that it was trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caser.artefact.folder import load, save
from caser.artefact.own_log import own_log
from caser.data.event_kinds import EventKinds
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import ArtefactError
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov


def test_a_saved_run_gives_its_log_back(tmp_path: Path) -> None:
    log = chain_world(num_users=20, num_items=6, length=5, seed=0).log
    run = fit(Markov(), leave_one_out(log)).artefact
    save(run, tmp_path / "run")
    again = own_log(load(tmp_path / "run"))
    assert again.digest == log.digest == run.manifest["log"]["digest"]
    assert again.provenance["source"] == "simulated"


def test_a_run_without_times_is_refused() -> None:
    log = replace(chain_world(num_users=20, num_items=6, length=5, seed=0).log, has_times=False)
    with pytest.raises(ArtefactError, match="must hold the times of its interactions"):
        own_log(fit(Markov(), leave_one_out(log)).artefact)


def test_a_run_that_predicts_some_events_only_is_refused() -> None:
    log = chain_world(num_users=20, num_items=6, length=5, seed=0).log
    some = replace(log, kinds=EventKinds((np.arange(len(log)) % 5 > 1).astype(np.uint8), {"buy": 1.0}))
    with pytest.raises(ArtefactError, match="does not hold which events it predicts"):
        own_log(fit(Markov(), leave_one_out(some)).artefact)
