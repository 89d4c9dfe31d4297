"""The loss of a batch: what a step asks, and what the network's answer costs.

`Objective.ask` decides everything that is drawn or selected, before the network is run, so that a step can be told
which rows of the tables it needs (`rows.py`); `Objective.cost` encodes, scores and compares.

Shape suffixes: C chunks, W states per chunk, X tape positions per chunk, M valid states, T targets, N negatives,
K items that a state scores, I catalogue + padding, D state width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from caser.config import Training
from caser.data.tape import Tape
from caser.models.base import SequenceEncoder
from caser.training.batches import Batch
from caser.training.negatives import NegativeSampler
from caser.training.own_scores import own_scores


@dataclass(frozen=True)
class StepInputs:
    """What a step asks of the network.

    users_CW, tape_CX  what it reads; a user that is hidden is 0      places  of the M states that train, in (C, W)
    targets_MT  the next items, 0 where there is none
    negatives  items drawn: (M, T N), a target's beside each other; (N,) if shared; none for a full loss
    score_offset_MK  added to the scores of negatives, (M, T N) or (M, N): -inf if masked, else the logQ correction
    """

    users_CW: Tensor
    tape_CX: Tensor
    places: tuple[Tensor, Tensor]
    targets_MT: Tensor
    negatives: Tensor
    score_offset_MK: Tensor


class Objective:
    """The loss of batches of one tape; `generator` is where negatives are drawn from, a new one for each epoch."""

    def __init__(self, network: SequenceEncoder, tape: Tape, training: Training, device: torch.device) -> None:
        self.network, self.training = network, training
        self.loss = training.loss_row
        settings = {**self.loss.settings, **training.loss_settings}
        self.loss_function: Callable[..., Tensor] = partial(self.loss.load(), **settings)
        self.generator = torch.Generator(device)
        self.sampler = NegativeSampler(
            tape, exponent=training.popularity_exponent, unseen_only=training.unseen_negatives, device=device
        )

    @property
    def names_every_item(self) -> bool:
        """Whether a batch needs the vectors of the whole catalogue."""
        return self.loss.form == "full"

    def ask(self, batch: Batch) -> StepInputs | None:
        """Select the states that train, hide users, draw negatives; None if no state trains."""
        chunks_M, states_M = batch.valid_CW.nonzero(as_tuple=True)
        if len(chunks_M) == 0:
            return None
        places = chunks_M, states_M
        targets_MT = batch.targets_CWT[places]
        users_CW = self._hide_some(batch.users_CW)
        if self.loss.form == "full":
            none = targets_MT[:, :0]
            return StepInputs(users_CW, batch.tape_CX, places, targets_MT, none, none)
        shared, N = self.training.negatives == "shared", self.training.num_negatives
        num = N if shared else N * targets_MT.shape[1]
        items, masked_MK = self.sampler.draw_for(batch.users_CW[places], targets_MT, num, self.generator, shared=shared)
        correction = self.sampler.log_probability(items) + math.log(N) if self.loss.corrects_for_sampling else 0.0
        score_offset_MK = torch.zeros(masked_MK.shape, device=masked_MK.device) - correction
        return StepInputs(
            users_CW, batch.tape_CX, places, targets_MT, items, score_offset_MK.masked_fill_(masked_MK, -torch.inf)
        )

    def cost(self, question: StepInputs) -> Tensor:
        """The mean over targets."""
        states_MD = self.network.encode(question.users_CW, question.tape_CX, question.places)
        vectors_ID, bias_I = self.network.item_vectors()
        if self.loss.form == "full":
            return self.loss_function(states_MD, vectors_ID, bias_I, question.targets_MT)
        positive_MT, negative_MTN = self._scores(question, states_MD, vectors_ID, bias_I)
        if question.targets_MT.shape[1] == 1 or self.training.positions == "full":  # then no target is missing
            scores = positive_MT.flatten(), negative_MTN.flatten(0, 1)
        else:
            has_target_MT = question.targets_MT > 0
            scores = positive_MT[has_target_MT], negative_MTN[has_target_MT]
        return self.loss_function(*scores, self._share) if self.loss.takes_share else self.loss_function(*scores)

    @property
    def _share(self) -> float:
        """The share of the catalogue's negatives that is drawn for a target."""
        return min(1.0, self.training.num_negatives / max(1, self.sampler.num_items - 1))

    def _scores(
        self, question: StepInputs, states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Scores of the targets (M, T), and of N negatives for each (M, T, N), -inf where one must not count."""
        targets_MT, items = question.targets_MT, question.negatives
        (M, T), N, shared = targets_MT.shape, self.training.num_negatives, items.ndim == 1
        if shared:
            positive = own_scores(states_MD, vectors_ID, bias_I, targets_MT)
            negative = states_MD @ vectors_ID[items].T + bias_I[items]
        else:
            scores = own_scores(states_MD, vectors_ID, bias_I, torch.cat([targets_MT, items], dim=1))
            positive, negative = scores.split_with_sizes([T, T * N], dim=1)
        negative = negative + question.score_offset_MK
        return positive, negative[:, None, :].expand(M, T, N) if shared else negative.view(M, T, N)

    def _hide_some(self, users_CW: Tensor) -> Tensor:
        """User dropout: a share of users becomes anonymous (index 0). Differs from the paper."""
        share = self.training.user_dropout
        if not share:
            return users_CW
        draw = torch.rand(users_CW.shape, generator=self.network.dropout_generator, device=users_CW.device)
        return torch.where(draw < share, 0, users_CW)
