"""A StateScorer from any SequenceEncoder: the network makes the states, and the scores are one product. Needs torch.

Shape suffixes: B queries, H history length, X items that the network reads, I catalogue + padding, D state width,
E width of user vectors, U users + the anonymous one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from caser.arrays.ragged import last_columns, last_items
from caser.arrays.types import Int32, Scores
from caser.models.base import Arrays, SequenceEncoder


class NeuralScorer:
    """Score with a network, on the device of its parameters. The network is never changed."""

    def __init__(self, network: SequenceEncoder) -> None:
        """Keep the network.

        network  a network, trained or not
        """
        self.network = network
        self.history_length: int | None = network.max_length or network.window
        self.user_columns = network.user_columns

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def arrays(self) -> Arrays:
        """Return the parameters by name, copied to the CPU."""
        return {name: _numpy(tensor) for name, tensor in self.network.state_dict().items()}

    def item_vectors(self) -> tuple[Scores, Scores]:
        """Return the vectors (I, D) and the biases (I,) of the items, as floats."""
        with self._as_answering():
            vectors_ID, bias_I = self.network.item_vectors()
            return _numpy(vectors_ID), _numpy(bias_I)

    def user_vectors(self) -> Scores | None:
        """Return the user vectors (U, E) as floats, row 0 for the anonymous user; None if the model has none."""
        vectors = self.network.user_vectors()
        return None if vectors is None else _numpy(vectors)

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """Compute the state of every query. See `StateScorer.states`.

        users_B       (B,) int32, the user of each query; or (B, E) floats, a user vector for each query
        histories_BH  (B, H) int32, left-padded with 0

        Returns floats (B, D).
        """
        with self._as_answering():
            return _numpy(self._states(users_B, histories_BH))

    @torch.no_grad()
    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Score every item for every query: state . vector + bias. See `Scorer.scores`.

        users_B       (B,) int32, the user of each query
        histories_BH  (B, H) int32, left-padded with 0

        Returns floats (B, I).
        """
        with self._as_answering():
            vectors_ID, bias_I = self.network.item_vectors()
            return _numpy(torch.addmm(bias_I, self._states(users_B, histories_BH), vectors_ID.T))

    @torch.no_grad()
    def _states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Tensor:
        tape_BX = torch.from_numpy(self._read(histories_BH)).to(self._device)
        users_B1 = torch.from_numpy(users_B).unsqueeze(1).to(self._device)
        size = max(1, _MOST_POSITIONS // tape_BX.shape[1])
        blocks = zip(torch.split(users_B1, size), torch.split(tape_BX, size), strict=True)
        return torch.cat([self.network.encode(users, tape)[:, -1] for users, tape in blocks])

    @contextmanager
    def _as_answering(self) -> Iterator[None]:
        """Within, nothing is dropped, and tables that the network computes are computed once."""
        was_training = self.network.training
        self.network.train(False)
        try:
            with parametrize.cached():
                yield
        finally:
            self.network.train(was_training)

    def _read(self, histories_BH: Int32) -> Int32:
        """The part of the histories that the network reads, (B, X)."""
        if self.network.max_length is None:
            return last_columns(histories_BH, self.network.window)
        return last_items(histories_BH, self.network.max_length)


_MOST_POSITIONS = 2**15
"""The largest number of positions that are encoded at once."""


def _numpy(tensor: Tensor) -> Scores:
    array: Scores = tensor.detach().cpu().numpy()
    return array
