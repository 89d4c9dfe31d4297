"""Write a run as one ONNX file: its network, its scores and its best items in one graph. Needs onnx, and no torch.

The graph takes histories of any width, int32 item indices left-padded with 0, and gives with each answer what a caller
needs to apply rules of its own. Equal scores go to the lowest index, as in every list of this library: ONNX defines
TopK so. Untrained items and padding are never among the best.

    users (B,)           indices, 0 anonymous       items, scores (B, k)   the best first; item 0 at -inf: no more
    histories (B, H)     oldest item first          all_scores (B, I)      column 0 (padding) meaningless
    excluded (B, X)      items to leave out, or 0   states (B, D)          all_scores = states . vectors + bias
    candidates (I,)      may be left out: the only items that may be among the best
    k (1,)               may be left out: how many

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
from caser.exported.graph import Graph
from caser.exported.networks import NETWORKS
from caser.exported.read import FORMAT, MOST_BYTES, checked, weights_digest, with_checksum
from caser.models.base import Arrays, StateScorer
from caser.system.storage import write_file

ROOM = 2**20
"""Bytes that everything but constants may take."""


def write_onnx(artefact: Artefact, path: str | Path, k: int = 10) -> dict[str, Any]:
    """Write the model of `artefact` to the file `path`, and return the facts that are in it.

    k  how many items an answer has unless the caller says otherwise

    Raises ConfigError for a model that is no network, for `k` below 1, and for one that a single file cannot hold;
    ArtefactError if the file cannot be written.
    """
    name, scorer = artefact.config.name, artefact.scorer
    if name not in NETWORKS or not isinstance(scorer, StateScorer):
        raise ConfigError(
            f"only networks are exported ({', '.join(sorted(NETWORKS))}); got {name}, which answers as it is."
        )
    if k < 1:
        raise ConfigError(f"k must be at least 1; got {k}.")
    facts = _facts(artefact, scorer.arrays())
    model = _graph(artefact, scorer, k)
    model.metadata_props.add(key="caser", value=json.dumps(facts))
    content = with_checksum(model.SerializeToString())
    checked(path, content)  # what is written can be read
    write_file(Path(path), content)
    return facts


def _refuse_too_large(constants: Iterable[NDArray[Any]]) -> None:
    needed = sum(values.nbytes for values in constants) + ROOM
    if needed > MOST_BYTES:
        raise ConfigError(
            f"an ONNX file must be below {MOST_BYTES / 1e9:.1f} GB; this network needs {needed / 1e9:.1f}. Answer from "
            "the run as it is, or train with a smaller d or fewer items."
        )


def _facts(artefact: Artefact, arrays: Arrays) -> dict[str, Any]:
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
    arrays = scorer.arrays()
    g = Graph(arrays)
    # Histories as the network reads them: at least one item, exactly the window of a windowed model.
    least = most = scorer.history_length or 1
    if hasattr(artefact.config, "max_length"):
        least = 1
    padded = g("Pad", "histories", [0, least, 0, 0], np.int32(0))
    read_BX = g("Slice", padded, [-most], [2**31], [1])
    states_BD = NETWORKS[artefact.config.name](g, artefact.config, "users", read_BX)
    g("Identity", states_BD, name="states")
    vectors, bias = ("V", "c") if "V" in arrays else ("Q", scorer.item_vectors()[1])
    g("Gemm", "states", vectors, bias, transB=1, name="all_scores")
    lowest = np.float32(-np.inf)
    is_candidate_I = g("And", artefact.histories.item_counts > 0, "candidates")
    wanted_BI = g("Where", is_candidate_I, "all_scores", lowest)
    never_BX = g("Add", g("Cast", "excluded", to=TensorProto.FLOAT), lowest)
    wanted_BI = g("ScatterElements", wanted_BI, "excluded", never_BX, axis=1)
    items = len(artefact.items) + 1
    best = g("TopK", wanted_BI, g("Min", "k", [items]), axis=1, outputs=2)
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
        "states": ("float32", ["B", scorer.item_vectors()[0].shape[1]]),
    }
    _refuse_too_large(g.constants.values())
    return g.model(inputs, outputs)
