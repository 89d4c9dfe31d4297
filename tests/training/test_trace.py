"""Training has the losses of a textbook form, epoch by epoch, and ends with the same parameters.

The textbook scores the whole catalogue for every state, keeps every gradient whole, and writes Adam out; it shares with
`train` only what is drawn: the cuts, the negatives and the network itself. What makes training faster must keep to it.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from caser.config import Training
from caser.system.randomness import torch_generator
from caser.training import rows as large
from caser.training.batches import Batches
from caser.training.negatives import NegativeSampler, SeenItems
from tests.training.runs import MODEL, TAPE, TRAINING, fresh, run

CASES: list[dict[str, Any]] = [
    {"loss": "softmax"},
    {"loss": "bce"},
    {"loss": "bce", "positions": "full", "unseen_negatives": True},
    {"loss": "sampled-softmax", "popularity_exponent": 0.5, "num_negatives": 4},
    {"loss": "sampled-softmax", "popularity_exponent": 0.5, "num_negatives": 12, "negatives": "shared"},
    {"loss": "bce", "num_negatives": 5, "negatives": "shared", "unseen_negatives": True},
]


def loss_of(training: Training, sampler: NegativeSampler, scores_MI: Tensor, targets_MT: Tensor, drawn: Any) -> Tensor:
    """The mean over targets, one target after another."""
    items_MK, masked_MK = drawn
    total = scores_MI.new_zeros(())
    for m, targets in enumerate(targets_MT.tolist()):
        for t, target in enumerate(targets):
            if not target:
                continue
            if training.loss == "softmax":
                total = total - torch.log_softmax(scores_MI[m, 1:], dim=0)[target - 1]
                continue
            if training.negatives == "shared":  # one set for all targets of all states
                items = items_MK[~masked_MK[m]]
            else:
                own = slice(t * training.num_negatives, (t + 1) * training.num_negatives)
                items = items_MK[m, own][~masked_MK[m, own]]
            positive, negative = scores_MI[m, target], scores_MI[m, items]
            if training.loss == "bce":
                total = total + functional.softplus(-positive) + functional.softplus(negative).sum()
            else:
                score_offset = sampler.log_probability(items) + torch.tensor(float(training.num_negatives)).log()
                total = total - positive + torch.logsumexp(torch.cat([positive[None], negative - score_offset]), dim=0)
    return total / (targets_MT > 0).sum()


def textbook(training: Training, by_rows: bool) -> tuple[list[float], dict[str, Tensor]]:
    """The loss of each epoch, and the parameters at the end."""
    network = MODEL.build(TAPE.num_users, TAPE.num_items, training.seed).train()
    parameters = dict(network.named_parameters())
    moments = {name: (torch.zeros_like(one), torch.zeros_like(one)) for name, one in parameters.items()}
    batches = Batches(
        TAPE, window=MODEL.L, num_targets=MODEL.T, batch_size=training.batch_size or 0, positions=training.positions
    )
    sampler = NegativeSampler(TAPE.item_counts, exponent=training.popularity_exponent)
    seen = SeenItems(TAPE) if training.unseen_negatives else None
    losses, step = [], 0
    for epoch in range(1, training.epochs + 1):
        network.dropout_generator = torch_generator(training.seed, "dropout", epoch)
        negatives = torch_generator(training.seed, "negatives", epoch)
        sums, num_targets = 0.0, 0
        for batch in batches.epoch(torch_generator(training.seed, "order", epoch)):
            users_M, targets_MT = batch.users_CW[batch.valid_CW], batch.targets_CWT[batch.valid_CW]
            if len(users_M) == 0:
                continue
            shared = training.negatives == "shared"
            num = training.num_negatives * (1 if shared else MODEL.T)
            drawn = sampler.draw_for(users_M, targets_MT, num, negatives, shared=shared, seen=seen)
            chunks, places = batch.valid_CW.nonzero(as_tuple=True)
            scores_MI = network.encode(batch.users_CW, batch.tape_CX, (chunks, places)) @ network.V.T + network.c
            loss = loss_of(training, sampler, scores_MI, targets_MT, drawn)
            gradients = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))
            step += 1
            items = torch.cat([torch.zeros(1), *(x.flatten() for x in (batch.tape_CX, targets_MT, drawn[0]))]).long()
            named = {"P": torch.cat([torch.zeros(1), batch.users_CW.flatten()]).long()}
            named |= {} if training.loss == "softmax" else dict.fromkeys("QVc", items)
            for name, values in parameters.items():
                rows = torch.unique(named[name]) if by_rows and name in named else torch.arange(len(values))
                _adam(values.detach(), gradients[name], moments[name], rows, step, training)
            sums += float(loss.detach()) * int((targets_MT > 0).sum())
            num_targets += int((targets_MT > 0).sum())
        losses.append(sums / num_targets)
    return losses, {name: values.detach() for name, values in parameters.items()}


def _adam(
    values: Tensor, gradient: Tensor, moments: tuple[Tensor, Tensor], rows: Tensor, step: int, training: Training
) -> None:
    """Algorithm 1 of Kingma & Ba (2015) on some rows, with an L2 penalty."""
    slope = gradient[rows] + training.weight_decay * values[rows]
    moments[0][rows] = 0.9 * moments[0][rows] + 0.1 * slope
    moments[1][rows] = 0.999 * moments[1][rows] + 0.001 * slope**2
    first, second = moments[0][rows] / (1 - 0.9**step), moments[1][rows] / (1 - 0.999**step)
    values[rows] -= training.learning_rate * first / (second.sqrt() + 1e-8)


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case.values())))
@pytest.mark.parametrize("by_rows", [False, True], ids=["whole tables", "by rows"])
def test_training_equals_the_textbook_form(
    case: dict[str, Any], by_rows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "MANY_ROWS", 1 if by_rows else 10**6)
    training = TRAINING.replace(epochs=2, batch_size=256, weight_decay=1e-3, **case)
    expected_losses, expected = textbook(training, by_rows)
    state = fresh(training)
    assert [epoch.loss for epoch in run(state, training)] == pytest.approx(expected_losses, rel=1e-5)
    for name, values in state.network.named_parameters():
        torch.testing.assert_close(values, expected[name], rtol=1e-3, atol=1e-4)
