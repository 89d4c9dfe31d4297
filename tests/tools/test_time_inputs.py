"""The benchmark of times as an input: what each variant reads, and that it finds times where they matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks._timed import VARIANTS, Events, Timed
from benchmarks.time_inputs import measure, simulated
from caser.data.log import InteractionLog
from caser.models.base import SequenceEncoder
from caser.models.caser.caser import Caser
from caser.models.sessions.gru4rec import GRU4Rec
from caser.models.settings import NetworkSettings

LOG = simulated(num_users=3, length=6, num_items=20)
SETTINGS = (GRU4Rec(d=8, max_length=6), Caser(L=2, d=8, n_v=1, n_h=2, user_vector=True))

every_model = pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.name)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def network(settings: NetworkSettings) -> SequenceEncoder:
    return settings.build(LOG.num_users, LOG.num_items, seed=0).train(False)


def states(settings: NetworkSettings, log: InteractionLog, variant: str, *, fill: bool) -> NDArray[np.float32]:
    """The states of user 1 without the last event, which is the target of the last state."""
    timed = Timed(network(settings), Events.of(log), variant)
    generator = torch.Generator().manual_seed(0)
    for vectors in [*timed.read.values(), *timed.added.values()] if fill else []:
        nn.init.normal_(vectors, generator=generator)
    events = torch.from_numpy(np.append(np.zeros(timed.window, np.int32), Events.of(log).numbers[:5]))[None]
    users = torch.ones(1, events.shape[1] - timed.window + 1, dtype=torch.int32)
    found: NDArray[np.float32] = timed.encode(users, events).detach().numpy()
    return found


@every_model
@every_variant
def test_vectors_of_zero_leave_the_network_as_it_is(settings: NetworkSettings, variant: str) -> None:
    plain = network(settings)
    items = torch.from_numpy(np.append(np.zeros(plain.window, np.int32), LOG.items[:5]))[None]
    users = torch.ones(1, items.shape[1] - plain.window + 1, dtype=torch.int32)
    expected = plain.encode(users, items).detach().numpy()
    np.testing.assert_allclose(states(settings, LOG, variant, fill=False), expected, rtol=1e-5, atol=1e-6)


@every_model
@every_variant
def test_only_variants_with_the_request_read_the_time_of_the_target(settings: NetworkSettings, variant: str) -> None:
    times = LOG.times.copy()
    times[5] += 40 * 86_400_000_000
    one, other = (states(settings, log, variant, fill=True) for log in (LOG, replace(LOG, times=times)))
    np.testing.assert_array_equal(one[:, :-1], other[:, :-1])
    assert np.array_equal(one[:, -1], other[:, -1]) is not variant.startswith("request")


@every_model
def test_the_gap_before_the_last_item_is_read_by_gaps_and_not_by_order(settings: NetworkSettings) -> None:
    times = LOG.times.copy()
    times[4:6] += 40 * 86_400_000_000
    for variant, is_read in (("order", False), ("gaps", True)):
        one, other = (states(settings, log, variant, fill=True) for log in (LOG, replace(LOG, times=times)))
        assert np.array_equal(one, other) is not is_read


@pytest.mark.slow
def test_times_are_found_where_they_matter(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.time_inputs.STORE", tmp_path)
    found = measure("simulated", "gru4rec", 1, ["gaps", "request"])["variants"]
    assert all(found[variant]["minus"]["order"]["low"] > 0.1 for variant in ("gaps", "request"))
