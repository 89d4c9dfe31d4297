"""The loss of a batch, in two stages.

A state is what the network computes at one position of a sequence; it predicts the next items. A state trains if it
contributes to the loss. `Objective.prepare` selects the states that train, and draws the negatives. This happens before
the network runs, so that `rows.py` can load only those rows of large embedding tables that the step needs.
`Objective.loss` runs the network, scores the items and computes the loss.

Shape suffixes: C chunks, W states per chunk, X tape positions per chunk, M states that train, T targets of a state,
N negatives of a target, K negatives of a state (N if they are shared, T N if they are drawn per target),
I catalogue + padding, D state width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from caser.config import Training
from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.models.base import SequenceEncoder
from caser.training.batches import Batch
from caser.training.negatives import NegativeSampler
from caser.training.own_scores import own_scores
from caser.training.precision import choose_precision


@dataclass(frozen=True)
class StepInputs:
    """The inputs of one training step.

    users_CW    (C, W) int32, the user of each state; 0 where user dropout hides the user
    tape_CX     (C, X) int32, the items that the network reads
    places      which states train: the chunk of each, and its place in the chunk, both (M,) int64
    targets_MT  (M, T) int64, the next items, 0 where there is none
    negatives   int64, the drawn items: (M, T N), where the N negatives of one target are neighbours; (N,) if all states
                share them; (M, 0) for a full loss, which draws none
    score_offset_MK  (M, K) floats, added to the scores of the negatives: -inf for a masked negative; otherwise the logQ
                     correction -log(N q), where q is the probability of the item, or 0 for a loss without it
    """

    users_CW: Tensor
    tape_CX: Tensor
    places: tuple[Tensor, Tensor]
    targets_MT: Tensor
    negatives: Tensor
    score_offset_MK: Tensor


class Objective:
    """The loss of the batches of one tape.

    `generator` is the random generator that draws the negatives. The training loop sets a new one in each epoch.
    """

    def __init__(self, network: SequenceEncoder, tape: Tape, training: Training, device: torch.device) -> None:
        """Prepare the loss function and the sampler.

        network   the network that trains
        tape      the sequences to train on
        training  how to train
        device    where the network and the batches are
        """
        self.network, self.training = network, training
        self.row = training.loss_row
        settings: dict[str, Any] = {**self.row.settings, **training.loss_settings}
        if self.row.takes_precision:
            settings["precision"] = choose_precision(training, network)
        self.loss_function: Callable[..., Tensor] = partial(self.row.load(), **settings)
        self.generator = torch.Generator(device)
        self.sampler = NegativeSampler(
            tape, exponent=training.popularity_exponent, unseen_only=training.unseen_negatives, device=device
        )

    @property
    def uses_every_item(self) -> bool:
        """Whether each step needs the vectors of the whole catalogue, as with a full loss."""
        return self.row.form == "full"

    def prepare(self, batch: Batch) -> StepInputs | None:
        """Select the states that train, hide some users (user dropout) and draw the negatives.

        batch  a batch of the tape

        Returns the inputs of a step; None if no state of the batch trains.
        """
        # Select the states.
        chunks_M, states_M = batch.valid_CW.nonzero(as_tuple=True)
        if len(chunks_M) == 0:
            return None
        places = chunks_M, states_M
        targets_MT = batch.targets_CWT[places]
        users_CW = self._with_hidden_users(batch.users_CW)
        if self.row.form == "full":
            empty = targets_MT[:, :0]
            return StepInputs(users_CW, batch.tape_CX, places, targets_MT, empty, empty)
        # Draw the negatives, and compute what is added to their scores.
        shared, N = self.training.negatives == "shared", self.training.num_negatives
        K = N if shared else N * targets_MT.shape[1]
        items, masked_MK = self.sampler.draw_for(batch.users_CW[places], targets_MT, K, self.generator, shared=shared)
        correction = self.sampler.log_probability(items) + math.log(N) if self.row.corrects_for_sampling else 0.0
        score_offset_MK = torch.zeros(masked_MK.shape, device=masked_MK.device) - correction
        return StepInputs(
            users_CW, batch.tape_CX, places, targets_MT, items, score_offset_MK.masked_fill_(masked_MK, -torch.inf)
        )

    def loss(self, inputs: StepInputs) -> Tensor:
        """Run the network and compute the loss.

        inputs  what `prepare` returned

        Returns a float scalar, the mean loss over the targets. Raises ConfigError if the loss function returns
        anything but one number.
        """
        # Run the network.
        states_MD = self.network.encode(inputs.users_CW, inputs.tape_CX, inputs.places)
        vectors_ID, bias_I = self.network.item_vectors()
        if self.row.form == "full":
            return self._checked(self.loss_function(states_MD, vectors_ID, bias_I, inputs.targets_MT))
        # Score targets and negatives, and drop the targets that do not exist.
        positive_MT, negative_MTN = self._scores(inputs, states_MD, vectors_ID, bias_I)
        if inputs.targets_MT.shape[1] == 1 or self.training.positions == "full":  # every target exists
            scores = positive_MT.flatten(), negative_MTN.flatten(0, 1)
        else:
            has_target_MT = inputs.targets_MT > 0
            scores = positive_MT[has_target_MT], negative_MTN[has_target_MT]
        share = (self._share_drawn,) if self.row.takes_share else ()
        return self._checked(self.loss_function(*scores, *share))

    def _checked(self, loss: object) -> Tensor:
        """Return the loss of a batch. Raises ConfigError if the loss function did not return one number."""
        if not isinstance(loss, Tensor):
            got = type(loss).__name__
        elif loss.ndim:
            got = f"a tensor of shape {tuple(loss.shape)}"
        elif not loss.is_floating_point():
            got = f"a tensor of {loss.dtype}"
        else:
            return loss
        raise ConfigError(
            f"a loss must return one number, a float tensor without dimensions; {self.training.loss} returned {got}."
        )

    @property
    def _share_drawn(self) -> float:
        """The sampling rate: the number of negatives of a target, divided by the number of items except the target."""
        return min(1.0, self.training.num_negatives / max(1, self.sampler.num_items - 1))

    def _scores(
        self, inputs: StepInputs, states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Score the targets, (M, T), and the N negatives of each target, (M, T, N); masked negatives get -inf."""
        targets_MT, items = inputs.targets_MT, inputs.negatives
        (M, T), N, shared = targets_MT.shape, self.training.num_negatives, items.ndim == 1
        if shared:
            positive = own_scores(states_MD, vectors_ID, bias_I, targets_MT)
            negative = states_MD @ vectors_ID[items].T + bias_I[items]
        else:
            scores = own_scores(states_MD, vectors_ID, bias_I, torch.cat([targets_MT, items], dim=1))
            positive, negative = scores.split_with_sizes([T, T * N], dim=1)
        negative = negative + inputs.score_offset_MK
        return positive, negative[:, None, :].expand(M, T, N) if shared else negative.view(M, T, N)

    def _with_hidden_users(self, users_CW: Tensor) -> Tensor:
        """User dropout: give some states, chosen at random, the anonymous user 0. Differs from the paper."""
        share = self.training.user_dropout
        if not share:
            return users_CW
        draw = torch.rand(users_CW.shape, generator=self.network.dropout_generator, device=users_CW.device)
        return torch.where(draw < share, 0, users_CW)
