"""Write a run as one ONNX file: its network, its scores and its best items in one graph. Needs onnx, and no torch.

The graph takes histories of any width, int32 item indices left-padded with 0. Besides the best items it gives all
scores and the states, from which a caller can apply its own rules. Among equal scores the lowest index comes first, as
in every list of this library, because ONNX defines TopK in this way. Untrained items and padding are never among the
best items.

    users (B,)         indices, 0 for anonymous       items, scores (B, k)   best first; item 0 at -inf fills up a row
    histories (B, H)   oldest item first              all_scores (B, I)      column 0 (padding) has no meaning
    excluded (B, X)    items to leave out, or 0       states (B, D)          all_scores = states . vectors + bias
    candidates (I,)    optional: the only items that may be among the best
    k (1,)             optional: the number of best items

The file carries its own checksum; see `read.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

import caser
from caser.artefact.folder import Artefact
from caser.errors import ConfigError
from caser.exported.graph import Graph, Value
from caser.exported.networks import NETWORKS
from caser.exported.read import FORMAT, MOST_BYTES, checked, weights_digest, with_checksum
from caser.models.base import Arrays, StateScorer
from caser.models.settings import NetworkSettings
from caser.system.kinds import must_be
from caser.system.storage import write_file

ROOM = 2**20
"""Bytes that are left for everything except constants."""


def write_onnx(artefact: Artefact, path: str | Path, k: int = 10) -> dict[str, Any]:
    """Write the network of a run to an ONNX file, and return the facts that are written into it.

    artefact  a run of a network that NETWORKS has a graph of
    path      the file
    k         the number of items in an answer, unless the caller of the graph gives another

    Raises ConfigError for what is no artefact, for a model that only counts, for a network without a graph, for `k`
    below 1, and for a network that is too large for one file; ArtefactError if the file cannot be written, or could not
    be read back.
    """
    must_be("artefact", artefact, Artefact, "an artefact, such as caser.load(RUN).artefact")
    name, scorer = artefact.config.name, artefact.scorer
    if not isinstance(artefact.config, NetworkSettings) or not isinstance(scorer, StateScorer):
        raise ConfigError(
            f"only networks are exported ({', '.join(sorted(NETWORKS))}); got {name}, which answers without an export."
        )
    if name not in NETWORKS:
        raise ConfigError(
            f"to be exported, a network needs its graph in ONNX operators; none is registered for {name}. Register one "
            f"with caser.exported.networks.NETWORKS.register({name!r}, NetworkGraph(...)), or answer from the run."
        )
    if k < 1:
        raise ConfigError(f"k must be at least 1; got {k}.")
    facts = _facts(artefact, scorer.arrays())
    model = _graph(artefact, scorer, k)
    model.metadata_props.add(key="caser", value=json.dumps(facts))
    content = with_checksum(model.SerializeToString())
    checked(path, content)  # a file that could not be read back is not written
    write_file(Path(path), content)
    return facts


def _refuse_too_large(constants: Iterable[NDArray[Any]]) -> None:
    needed = sum(values.nbytes for values in constants) + ROOM
    if needed > MOST_BYTES:
        raise ConfigError(
            f"an ONNX file must be below {MOST_BYTES / 1e9:.1f} GB; this network needs {needed / 1e9:.1f}. Answer from "
            "the run, or train with a smaller d or fewer items."
        )


def _facts(artefact: Artefact, arrays: Arrays) -> dict[str, Any]:
    """What the file says about itself, as JSON values."""
    return {
        "format": FORMAT,
        "library_version": caser.__version__,
        "model": artefact.config.name,
        "settings": artefact.config.model_dump(mode="json"),
        "num_users": len(artefact.users),
        "num_items": len(artefact.items),
        "weights_sha256": weights_digest(arrays),
        **{name: artefact.manifest[name] for name in ("protocol", "fingerprint", "seen")},
    }


def _graph(artefact: Artefact, scorer: StateScorer, k: int) -> ModelProto:
    """The network, its scores and its best items as one ONNX model."""
    arrays = scorer.arrays()
    network = NETWORKS[artefact.config.name]
    g = Graph(arrays)
    # The part of the histories that the network reads: at most its history length, and exactly that for a window.
    most = scorer.history_length or 1
    least = most if network.windows else 1
    padded = g("Pad", "histories", [0, least, 0, 0], np.int32(0))
    read_BX = g("Slice", padded, [-most], [2**31], [1])
    # States and scores.
    states_BD = network.states(g, artefact.config, "users", read_BX)
    g("Identity", states_BD, name="states")
    vectors_ID, bias_I = scorer.item_vectors()
    g("Gemm", "states", _stored(arrays, vectors_ID), _stored(arrays, bias_I), transB=1, name="all_scores")
    # Untrained items and items that are no candidates get -inf; so do excluded ones.
    lowest = np.float32(-np.inf)
    is_candidate_I = g("And", artefact.knows_item, "candidates")
    allowed_BI = g("Where", is_candidate_I, "all_scores", lowest)
    never_BX = g("Add", g("Cast", "excluded", to=TensorProto.FLOAT), lowest)
    allowed_BI = g("ScatterElements", allowed_BI, "excluded", never_BX, axis=1)
    # The best items. A row with fewer than k candidates ends with item 0 at -inf.
    items = len(artefact.items) + 1
    best = g("TopK", allowed_BI, g("Min", "k", [items]), axis=1, outputs=2)
    g("Identity", f"{best}_0", name="scores")
    g("Where", g("Equal", "scores", lowest), np.int64(0), best, name="items")
    g.constants |= {"candidates": np.ones(items, dtype=np.bool_), "k": np.array([k])}
    inputs: dict[str, tuple[str, list[str | int]]] = {
        "users": ("int32", ["B"]),
        "histories": ("int32", ["B", "H"]),
        "excluded": ("int32", ["B", "X"]),
        "candidates": ("bool", [items]),
        "k": ("int64", [1]),
    }
    outputs: dict[str, tuple[str, list[str | int]]] = {
        "items": ("int64", ["B", "best"]),
        "scores": ("float32", ["B", "best"]),
        "all_scores": ("float32", ["B", items]),
        "states": ("float32", ["B", vectors_ID.shape[1]]),
    }
    _refuse_too_large(g.constants.values())
    return g.model(inputs, outputs)


def _stored(arrays: Arrays, values: NDArray[Any]) -> Value:
    """The name of the parameter with these values, so that the file holds them once; otherwise the values."""
    return next((name for name, array in arrays.items() if np.array_equal(array, values)), values)
