"""Any SequenceEncoder as a Scorer: states from the network, scores as one product. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor

from caser.data.log import Int32
from caser.data.tape import last_columns
from caser.models.base import Arrays, Scores, SequenceEncoder


class NeuralScorer:
    """Rank with a network, on the device its parameters are on. The network is read, never changed."""

    def __init__(self, network: SequenceEncoder) -> None:
        self.network = network
        self.history_length: int | None = network.window
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
            tape_BX = torch.from_numpy(last_columns(histories_BH, self.network.window)).to(self._device)
            users_B1 = torch.from_numpy(users_B).unsqueeze(1).to(self._device)
            return self.network.encode(users_B1, tape_BX)[:, -1]
        finally:
            self.network.train(was_training)


def _numpy(tensor: Tensor) -> Scores:
    array: Scores = tensor.detach().cpu().numpy()
    return array
