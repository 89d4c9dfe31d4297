"""Helpers for the tests of session models: small networks without zero parameters, and random histories."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from caser.models.sessions.esasrec_network import ESASRecNetwork
from caser.models.sessions.gru4rec_network import GRU4RecNetwork
from caser.models.sessions.nextitnet_network import NextItNetNetwork
from caser.models.sessions.sasrec_network import SASRecNetwork
from caser.system.randomness import torch_generator

Network = ESASRecNetwork | GRU4RecNetwork | NextItNetNetwork | SASRecNetwork
NUM_USERS, NUM_ITEMS = 4, 9


def network_of(config: Any, seed: int = 0) -> Network:
    """A network in double precision in which only the padding row is zero."""
    network: Network = config.build(NUM_USERS, NUM_ITEMS, seed).double().eval()
    with torch.no_grad():
        for index, (name, parameter) in enumerate(network.named_parameters()):
            parameter.normal_(0, 0.5, generator=torch_generator(seed, "test", index))
            if name in ("Q", "V"):
                parameter[0] = 0
    return network


def parameters_of(network: Network) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def a_history(length: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(1, NUM_ITEMS + 1, length))


def states_of(network: Network, tape_CX: Tensor) -> Tensor:
    return network.encode(torch.zeros_like(tape_CX), tape_CX)
