"""Large tables train by the rows of a batch, for every network; apart from that, the optimiser is Adam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from caser.data.tape import Tape
from caser.errors import NumericalError
from caser.models import MODELS, model_class
from caser.models.base import SequenceEncoder
from caser.models.settings import NetworkSettings
from caser.training import rows
from caser.training.checkpoint import load_checkpoint, restore, save_checkpoint
from caser.training.loop import TrainingState, start
from tests.training.runs import MODEL, TAPE, TRAINING, fresh, run, train_on, weights_digest

NEURAL = [name for name in MODELS if issubclass(model_class(name), NetworkSettings)]
SAMPLED = TRAINING.replace(loss="bce", negatives="per-target", popularity_exponent=1.0)
NUM_USERS, NUM_ITEMS, NUM_NAMED = 300, 200, 20


@pytest.fixture
def by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train every table by rows, even small ones."""
    monkeypatch.setattr(rows, "MANY_ROWS", 1)


@pytest.fixture
def sparse() -> Tape:
    """A tape that uses few of its many users and items."""
    generator = np.random.default_rng(0)
    sequences = [generator.integers(1, NUM_NAMED + 1, 9).tolist() for _ in range(NUM_NAMED)]
    return Tape.from_sequences(sequences + [[]] * (NUM_USERS - NUM_NAMED), num_items=NUM_ITEMS)


def network_of(name: str, num_users: int, num_items: int) -> SequenceEncoder:
    model: Any = model_class(name)()
    network: SequenceEncoder = model.build(num_users, num_items, seed=0)
    return network


def tables_of(state: TrainingState) -> dict[str, tuple[Tensor, int]]:
    """Every table with one row per user or item, and how many of its rows the tape uses, padding included."""
    parameters = dict(state.network.named_parameters())
    names = (*state.network.item_tables, *state.network.user_tables)
    return {name: (parameters[name].detach().clone(), NUM_NAMED + 1) for name in names if name in parameters}


@pytest.mark.parametrize("name", NEURAL)
def test_a_network_names_its_tables(name: str) -> None:
    model: Any = model_class(name)()
    network = model.build(5, 9, seed=0)
    fewer, more_users, more_items = (model.shapes(*sizes) for sizes in ((5, 9), (6, 9), (5, 10)))
    assert {one for one in fewer if fewer[one] != more_users[one]} == {*network.user_tables} & {*fewer}
    assert {one for one in fewer if fewer[one] != more_items[one]} == {*network.item_tables} & {*fewer}


@pytest.mark.parametrize("name", NEURAL)
@pytest.mark.parametrize("loss", ["bce", "softmax"])
@pytest.mark.usefixtures("by_rows")
def test_a_row_that_no_batch_uses_does_not_change(name: str, loss: Any, sparse: Tape) -> None:
    training = SAMPLED.replace(loss=loss, weight_decay=0.1, epochs=2)
    state = start(network_of(name, NUM_USERS, NUM_ITEMS), training)
    before = tables_of(state)
    list(train_on(state, sparse, training, num_targets=1))
    for table, (values, num_named) in tables_of(state).items():
        moved = values != before[table][0]
        assert moved[1:num_named].any()
        assert values.shape == before[table][0].shape
        if loss == "bce" or table in state.network.user_tables:
            moment = state.optimiser.state[dict(state.network.named_parameters())[table]]["exp_avg_sq"]
            assert moment[1:num_named].any()
            assert not moment[~moved].any()  # weight decay would move a row that is in no batch
            assert not moved[num_named:].all()  # an item without interactions may be drawn
        if table in state.network.user_tables:
            assert not moved[num_named:].any()


@pytest.mark.parametrize("name", NEURAL)
def test_training_by_rows_equals_training_the_whole_table_when_a_batch_uses_all_rows(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    tape = Tape.from_sequences([(generator.permutation(12)[:9] + 1).tolist() for _ in range(20)], num_items=12)
    training = SAMPLED.replace(batch_size=10_000, weight_decay=0.1)
    ends = []
    for many in (10**6, 1):
        monkeypatch.setattr(rows, "MANY_ROWS", many)
        state = start(network_of(name, 20, 12), training)
        losses = [epoch.loss for epoch in train_on(state, tape, training, num_targets=1)]
        ends.append((losses, weights_digest(state)))
    assert ends[0] == ends[1]


@pytest.mark.usefixtures("by_rows")
def test_a_run_by_rows_that_is_continued_ends_at_the_same_weights(tmp_path: Path) -> None:
    unbroken = fresh(SAMPLED)
    run(unbroken, SAMPLED)
    save_checkpoint(tmp_path / "checkpoint", fresh(SAMPLED), {})
    for until in range(1, SAMPLED.epochs + 1):
        state = fresh(SAMPLED)
        restore(state, *load_checkpoint(tmp_path / "checkpoint")[:2])
        run(state, SAMPLED, until=until)
        save_checkpoint(tmp_path / "checkpoint", state, {})
    assert weights_digest(state) == weights_digest(unbroken)


@pytest.mark.usefixtures("by_rows")
def test_a_step_that_fails_leaves_the_tables_whole(sparse: Tape) -> None:
    state = start(MODEL.build(NUM_USERS, NUM_ITEMS, seed=0), SAMPLED)
    with torch.no_grad():
        state.network.item_vectors()[1][3] = torch.nan
    before = weights_digest(state)
    with pytest.raises(NumericalError, match="in epoch 1, batch 1"):
        next(train_on(state, sparse, SAMPLED, num_targets=MODEL.T))
    assert weights_digest(state) == before


@pytest.mark.usefixtures("by_rows")
@pytest.mark.parametrize("changes", [{"negatives": "shared"}, {"user_dropout": 0.5}, {"positions": "full"}])
def test_every_way_to_draw_and_mask_trains_by_rows(changes: dict[str, Any]) -> None:
    training = SAMPLED.replace(loss="sampled-softmax", num_negatives=5, **changes)
    losses = [epoch.loss for epoch in run(fresh(training), training)]
    assert losses[-1] < losses[0]


def test_tables_of_common_sizes_are_updated_whole() -> None:
    tables = rows.LargeTables(fresh().network, fresh().optimiser, uses_every_item=False)
    assert not tables.of_users
    assert not tables.of_items
    assert len(TAPE.items) < rows.MANY_ROWS
