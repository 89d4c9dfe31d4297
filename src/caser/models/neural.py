"""Any SequenceEncoder as a Scorer: states from the network, scores as one product. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor

from caser.arrays.ragged import last_columns, last_items
from caser.arrays.types import Int32, Scores
from caser.models.base import Arrays, SequenceEncoder


class NeuralScorer:
    """Rank with a network, on the device its parameters are on. The network is read, never changed."""

    def __init__(self, network: SequenceEncoder) -> None:
        self.network = network
        self.history_length: int | None = network.max_length or network.window
        self.user_columns = network.user_columns

    @property
    def _device(self) -> torch.device:
        return self.network.item_vectors()[0].device

    def arrays(self) -> Arrays:
        """The parameters by name, copied to the processor."""
        return {name: _numpy(tensor) for name, tensor in self.network.state_dict().items()}

    def item_vectors(self) -> tuple[Scores, Scores]:
        """Vectors (I, D) and biases (I,)."""
        vectors_ID, bias_I = self.network.item_vectors()
        return _numpy(vectors_ID), _numpy(bias_I)

    def user_vectors(self) -> Scores | None:
        """(U, E), row 0 for anonymous users; None without user vectors."""
        vectors = self.network.user_vectors()
        return None if vectors is None else _numpy(vectors)

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """(B, D)."""
        return _numpy(self._states(users_B, histories_BH))

    @torch.no_grad()
    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Scores, state . vector + bias: (B, I)."""
        vectors_ID, bias_I = self.network.item_vectors()
        return _numpy(torch.addmm(bias_I, self._states(users_B, histories_BH), vectors_ID.T))

    @torch.no_grad()
    def _states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Tensor:
        was_training = self.network.training
        self.network.train(False)
        try:
            tape_BX = torch.from_numpy(self._read(histories_BH)).to(self._device)
            users_B1 = torch.from_numpy(users_B).unsqueeze(1).to(self._device)
            size = max(1, _MOST_POSITIONS // tape_BX.shape[1])
            blocks = zip(torch.split(users_B1, size), torch.split(tape_BX, size), strict=True)
            return torch.cat([self.network.encode(users, tape)[:, -1] for users, tape in blocks])
        finally:
            self.network.train(was_training)

    def _read(self, histories_BH: Int32) -> Int32:
        """What the network reads of the histories, (B, X)."""
        if self.network.max_length is None:
            return last_columns(histories_BH, self.network.window)
        return last_items(histories_BH, self.network.max_length)


_MOST_POSITIONS = 2**15
"""Positions that are encoded at once when answering."""


def _numpy(tensor: Tensor) -> Scores:
    array: Scores = tensor.detach().cpu().numpy()
    return array
