"""Several workers train what one trains: the same losses, metrics, parameters and answers; a lost worker is named.

The workers are real processes that meet over gloo; `replicas.py` starts them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.fitting.defaults import facts_of
from tests.training.replicas import CASES, FULL, LOG, MODELS, SPLIT

pytestmark = pytest.mark.slow


def said_by_workers(folder: Path, what: str) -> Any:
    command = [sys.executable, "-m", "tests.training.replicas", str(folder), what]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one worker and two workers, both with two lanes, made of each case."""
    return said_by_workers(tmp_path_factory.mktemp("equal"), "equal")


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What three workers said when something went wrong."""
    return said_by_workers(tmp_path_factory.mktemp("lost"), "lost")


NAMES = [" ".join(case) for case in CASES]


@pytest.mark.parametrize("case", NAMES)
def test_two_workers_train_what_one_trains_on_the_same_lanes(case: str, fits: Any) -> None:
    [alone], [first, second] = fits[case]
    for entry, other in zip(alone["history"], first["history"], strict=True):
        assert other["loss"] == pytest.approx(entry["loss"], rel=1e-5)
        assert other["validation"] == pytest.approx(entry["validation"], rel=1e-9)
        assert other["num_states"] == entry["num_states"]
    for array, other in zip(alone["numbers"], first["numbers"], strict=True):
        np.testing.assert_allclose(other, array, rtol=1e-4, atol=1e-6)
    assert ids(first["answers"]) == ids(alone["answers"])
    assert first["weights"] == second["weights"]
    assert first["history"] == second["history"]  # also the seconds, which may decide when to stop


def ids(answers: Any) -> Any:
    return [[item["item_id"] for item in answer["items"]] for answer in answers]


@pytest.mark.parametrize("case", NAMES)
def test_only_the_rows_that_a_step_uses_travel(case: str, fits: Any) -> None:
    [alone], [first, _] = fits[case]
    assert alone["bytes"] == {}
    has_user_table, is_by_rows = case.startswith("caser"), case.endswith("by rows")
    assert ("rows" in first["bytes"]) == (is_by_rows and (has_user_table or "sampled" in case))
    assert first["bytes"]["dense"] > 0


def test_the_bytes_of_a_step_are_those_of_its_gradients(fits: Any) -> None:
    """Two workers send each gradient once, with the flags of who has one and the loss."""
    [alone], [first, _] = fits["caser full whole tables"]
    network = MODELS["caser"].for_log(facts_of(SPLIT)).build(LOG.num_users, LOG.num_items, 0)
    sizes = [parameter.numel() for parameter in network.parameters()]
    a_step = 4 * (sum(sizes) + len(sizes) + 1)
    assert first["bytes"]["dense"] % a_step == 0
    assert first["bytes"]["dense"] // a_step == first["bytes"]["numbers"] // 8  # one number for each step
    assert len(alone["history"]) == FULL.epochs


def test_workers_that_are_left_name_the_one_that_was_killed(faults: Any) -> None:
    first, lost, last = faults["killed"]
    assert lost is None
    for sentence in (first, last):
        assert sentence.startswith("WorkerError: all workers must stay until the training ends; worker 1 (")
        assert "was lost" in sentence
        assert "worker 0" not in sentence
        assert "worker 2" not in sentence


def test_workers_that_are_left_say_why_another_stopped(faults: Any) -> None:
    first, stopped, last = faults["failed"]
    assert stopped == "DataError: a log must stay; got nothing. Put it back."
    for sentence in (first, last):
        assert "stopped: DataError: a log must stay; got nothing. Put it back. Every finished epoch" in sentence


def test_workers_with_other_settings_do_not_begin(faults: Any) -> None:
    for sentence in faults["own seed"]:
        assert "the same state before the training; the run of worker 2 is not that of worker 0." in sentence


def test_a_replica_that_differs_in_one_number_is_found_after_the_epoch(faults: Any) -> None:
    for sentence in faults["changed weights"]:
        assert re.search(
            "the same state after epoch 1; [a-z]+/[a-zA-Z_.]+ of worker 1 is not that of worker 0", sentence
        )


def test_more_workers_than_lanes_are_refused(faults: Any) -> None:
    for sentence in faults["too few lanes"]:
        assert sentence.startswith("ConfigError: a training must have at least one lane for each worker; got 2 for 3")
