"""The loss of a batch, in two stages.

A state is what the network computes at one position of a sequence; it predicts the next items. A state trains if it
contributes to the loss. `Objective.prepare` selects the states that train, and draws the negatives. This happens before
the network runs, so that `rows.py` can load only those rows of large embedding tables that the step needs. `Objective`
is a module that contains the network, so that torch can compute the loss with other values in place of its tables.
`Objective.forward` runs the network, scores the items and computes the loss.

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
from torch import Tensor, nn
from torch.nn.utils import parametrize

from caser.arrays.types import Int64
from caser.config import Training
from caser.errors import ConfigError
from caser.models.base import SequenceEncoder
from caser.training.batches import Batch
from caser.training.log_sums import log_sums
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
    correction  floats like `negatives`, subtracted from their scores: the logQ correction log(N q), where q is the
                probability of the item; a single 0 for a loss without the correction
    masked_MK   (M, K) bool, True where a negative does not count for a state
    weights_MT  (M, T) floats, the weight of each target in the loss; None if all have the same
    dropout     the source of randomness of dropout in this step
    """

    users_CW: Tensor
    tape_CX: Tensor
    places: tuple[Tensor, Tensor]
    targets_MT: Tensor
    negatives: Tensor
    correction: Tensor
    masked_MK: Tensor
    dropout: torch.Generator
    weights_MT: Tensor | None = None


@dataclass(frozen=True)
class Streams:
    """The sources of randomness of a lane in one epoch.

    dropout    hides users and switches units of the network off
    negatives  draws the negatives
    """

    dropout: torch.Generator
    negatives: torch.Generator


class Objective(nn.Module):
    """The loss of a network on batches."""

    def __init__(self, network: SequenceEncoder, item_counts: Int64, training: Training, device: torch.device) -> None:
        """Prepare the loss function and the sampler.

        network      the network that trains
        item_counts  (I,) int64, the number of interactions of each item in the part to train on
        training     how to train
        device       where the network and the batches are
        """
        super().__init__()
        self.network, self.config, self.device = network, training, device
        self.row = training.loss_row
        self.precision = choose_precision(training, network) if "precision" in training.used() else None
        settings: dict[str, Any] = {**self.row.settings, **training.loss_settings}
        if self.row.takes_precision:
            settings["precision"] = self.precision
        self.loss_function: Callable[..., Tensor] = partial(self.row.load(), **settings)
        self.sampler = NegativeSampler(item_counts, exponent=training.popularity_exponent, device=device)

    @property
    def uses_every_item(self) -> bool:
        """Whether each step needs the vectors of the whole catalogue, as with a full loss."""
        return self.row.form == "full"

    def prepare(self, batch: Batch, streams: Streams) -> StepInputs | None:
        """Select the states that train, hide some users (user dropout) and draw the negatives.

        batch    a batch of the part to train on
        streams  the sources of randomness

        Returns the inputs of a step; None if no state of the batch trains.
        """
        # Select the states.
        chunks_M, states_M = batch.valid_CW.nonzero(as_tuple=True)
        if len(chunks_M) == 0:
            return None
        places = chunks_M, states_M
        targets_MT = batch.targets_CWT[places]
        weights_MT = None if batch.weights_CWT is None else batch.weights_CWT[places]
        users_CW = self._with_hidden_users(batch.users_CW, streams.dropout)
        if self.row.form == "full":
            empty = targets_MT[:, :0]
            drawn = empty, empty, empty
            return StepInputs(users_CW, batch.tape_CX, places, targets_MT, *drawn, streams.dropout, weights_MT)
        # Draw the negatives, and compute what is subtracted from their scores.
        shared, N = self.config.negatives == "shared", self.config.num_negatives
        K = N if shared else N * targets_MT.shape[1]
        items, masked_MK = self.sampler.draw_for(
            batch.users_CW[places], targets_MT, K, streams.negatives, shared=shared, seen=batch.seen
        )
        correction = torch.zeros((), device=items.device)
        if self.row.corrects_for_sampling:
            correction = self.sampler.log_probability(items) + math.log(N)
        drawn = items, correction, masked_MK
        return StepInputs(users_CW, batch.tape_CX, places, targets_MT, *drawn, streams.dropout, weights_MT)

    @parametrize.cached()  # tables that the network computes, as with attributes of items, are computed once
    def forward(self, inputs: StepInputs) -> Tensor:
        """Run the network and compute the loss.

        inputs  what `prepare` returned

        Returns a float scalar, the mean over the targets of their losses, each multiplied by the weight of the target.
        Raises ConfigError if the loss function returns anything but one number.
        """
        # Run the network.
        self.network.dropout_generator = inputs.dropout
        states_MD = self.network.encode(inputs.users_CW, inputs.tape_CX, inputs.places)
        vectors_ID, bias_I = self.network.item_vectors()
        if self.row.form == "full":

            def full(targets_MT: Tensor) -> Tensor:
                some_MD = states_MD
                if inputs.weights_MT is not None:  # only states with a target, the first of which must exist
                    has_target_M = (targets_MT > 0).any(dim=1)
                    some_MD, targets_MT = states_MD[has_target_M], targets_MT[has_target_M]
                    targets_MT = targets_MT.gather(1, (targets_MT == 0).byte().argsort(dim=1, stable=True))
                return self._checked(self.loss_function(some_MD, vectors_ID, bias_I, targets_MT))

            return self._weighted(inputs, full)
        # Score targets and negatives, and drop the targets that do not exist.
        positive_MT, negative_MTN = self._scores(inputs, states_MD, vectors_ID, bias_I)
        share = (self._share_drawn,) if self.row.takes_share else ()

        def sampled(targets_MT: Tensor) -> Tensor:
            is_meant_MT = targets_MT > 0
            if (inputs.weights_MT is None and targets_MT.shape[1] == 1) or bool(is_meant_MT.all()):
                scores = positive_MT.flatten(), negative_MTN.flatten(0, 1)
            else:
                scores = positive_MT[is_meant_MT], negative_MTN[is_meant_MT]
            return self._checked(self.loss_function(*scores, *share))

        return self._weighted(inputs, sampled)

    def _weighted(self, inputs: StepInputs, loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean over targets of weight times loss.

        `loss_of` gives the mean loss of some targets, (M, T), 0 for none; those of one weight are computed together.
        """
        targets_MT, weights_MT = inputs.targets_MT, inputs.weights_MT
        if weights_MT is None:
            return loss_of(targets_MT)
        total = torch.zeros((), device=targets_MT.device)
        for weight in torch.unique(weights_MT[targets_MT > 0]).tolist():
            some_MT = torch.where(weights_MT == weight, targets_MT, 0)
            total = total + weight * (some_MT > 0).sum() * loss_of(some_MT)
        return total / (targets_MT > 0).sum()

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
            f"a loss must return one number, a float tensor without dimensions; {self.config.loss} returned {got}."
        )

    @property
    def _share_drawn(self) -> float:
        """The sampling rate: the number of negatives of a target, divided by the number of items except the target."""
        return min(1.0, self.config.num_negatives / max(1, self.sampler.num_items - 1))

    def _scores(
        self, inputs: StepInputs, states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Score the targets, (M, T), and the negatives of each target, (M, T, N); masked negatives get -inf.

        Where all states share the negatives, and the loss needs only the log of their sum, N is 1.
        """
        targets_MT, items = inputs.targets_MT, inputs.negatives
        (M, T), N = targets_MT.shape, self.config.num_negatives
        if items.ndim == 1:
            positive_MT = own_scores(states_MD, vectors_ID, bias_I, targets_MT)
            vectors_ND, offset_N = vectors_ID[items], bias_I[items] - inputs.correction
            if self.row.sums_negatives and self.precision:
                sums_M = log_sums(states_MD, vectors_ND, offset_N, inputs.masked_MK, self.precision)
                return positive_MT, sums_M[:, None, None].expand(M, T, 1)
            negative_MN = (states_MD @ vectors_ND.T + offset_N).masked_fill(inputs.masked_MK, -torch.inf)
            return positive_MT, negative_MN[:, None, :].expand(M, T, N)
        scores = own_scores(states_MD, vectors_ID, bias_I, torch.cat([targets_MT, items], dim=1))
        positive_MT, negative_MK = scores.split_with_sizes([T, T * N], dim=1)
        negative_MK = (negative_MK - inputs.correction).masked_fill(inputs.masked_MK, -torch.inf)
        return positive_MT, negative_MK.view(M, T, N)

    def _with_hidden_users(self, users_CW: Tensor, generator: torch.Generator) -> Tensor:
        """User dropout: give some states, chosen at random, the anonymous user 0. Differs from the paper."""
        share = self.config.user_dropout
        if not share:
            return users_CW
        draw = torch.rand(users_CW.shape, generator=generator, device=users_CW.device)
        return torch.where(draw < share, 0, users_CW)
