"""Random streams: equal names give equal streams in every process, and different names different streams."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import torch

from caser.system.randomness import numpy_generator, stream_seed, torch_generator


def test_a_stream_depends_on_seed_name_and_every_counter() -> None:
    seeds = {
        stream_seed(0, "order"),
        stream_seed(1, "order"),
        stream_seed(0, "negatives"),
        stream_seed(0, "order", 1),
        stream_seed(0, "order", 1, 1),
        stream_seed(0, "order", 11),
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_stream_is_a_fixed_number_that_no_process_or_version_changes() -> None:
    code = "from caser.system.randomness import stream_seed; print(stream_seed(42, 'dropout', 3))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert outputs == {"905969281285211710"}


def test_generators_repeat_and_are_independent_of_the_global_ones() -> None:
    torch.manual_seed(1)
    first = torch.rand(4, generator=torch_generator(0, "order"))
    torch.manual_seed(2)
    assert torch.equal(first, torch.rand(4, generator=torch_generator(0, "order")))
    assert not torch.equal(first, torch.rand(4, generator=torch_generator(0, "dropout")))
    assert np.array_equal(numpy_generator(0, "world").random(4), numpy_generator(0, "world").random(4))


def test_a_seed_may_be_negative() -> None:
    assert stream_seed(-1, "order") != stream_seed(1, "order")
    torch_generator(-1, "order")
