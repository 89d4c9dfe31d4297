"""Each network as a graph of ONNX operators, from the items it reads to its last state.

A graph follows the NumPy equations in `caser.models` line by line, with the same letters; the tests compare the scores.
docs/export.md says why torch's own exporter is not used. Needs onnx. The graph of a network of your own joins the table
with `NETWORKS.register`; it may only use the operators that `read.OPERATORS` lists.

Shape suffixes: B queries, X items that are read, D state width, d width of vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from caser.exported.graph import Graph
from caser.models.activations import ACTIVATIONS
from caser.models.caser.caser import Caser
from caser.models.factors.bpr_mf import BPRMF
from caser.models.factors.fpmc import FPMC
from caser.models.sessions.esasrec import ESASRec
from caser.models.sessions.gru4rec import GRU4Rec
from caser.models.sessions.nextitnet import NextItNet, reads_back
from caser.models.sessions.sasrec import SASRec
from caser.models.sessions.scorer import LAYER_NORM_EPSILON
from caser.system.registry import Registry, instance_of


@dataclass(frozen=True)
class NetworkGraph:
    """A row of NETWORKS: how a network becomes a graph.

    states   the function that adds the network to a graph. It takes the graph, the settings of the model, the name of
             the users (B,) and the name of the items (B, X), both int32, the items left-padded with 0. It returns the
             name of the last states, (B, D) float32
    windows  True if the network reads exactly its history length, padding included; False if it may read fewer items
    """

    states: Callable[[Graph, Any, str, str], str]
    windows: bool


def caser(g: Graph, config: Caser, users_B: str, read_BX: str) -> str:
    """Add Caser, which reads one window per query.

    g                  the graph, with the network's parameters
    config             the settings of the model
    users_B, read_BX   the names of the users (B,) and of the items (B, X), int32

    Returns the name of the last states, (B, D) float32.
    """
    parts = []
    if config.has_branches:
        p, features = g.parameters, []
        E_BXd = g("Gather", "Q", read_BX)  # equation 1
        # The vertical branch, equations 6 and 7.
        if config.n_v:
            read = _last_rows(g, E_BXd, config.vertical_reach, config.window)
            features.append(g("Reshape", g("Add", g("MatMul", "G", read), p["bG"][:, None]), [0, -1]))
        # The horizontal branch, equations 3 to 5. phi_c never decreases, so the maximum comes before it. One product
        # for all places of a filter is faster than the runtime's convolution: four times for 64 queries.
        if config.n_h:
            maxima, E_BLd = [], _last_rows(g, E_BXd, config.L, config.window)
            for row, h in enumerate(config.filter_heights):
                places = config.L - h + 1
                rows = (np.arange(places)[:, None] + np.arange(h)).ravel()
                read = g("Reshape", g("Gather", E_BLd, rows, axis=1), [0, places, h * config.d])
                answers = g("MatMul", read, p[f"F{h}"].reshape(h * config.d, config.n_h))
                maxima.append(g("Add", g("ReduceMax", answers, [1], keepdims=0), p["bF"][row]))
            features.append(g(ACTIVATIONS[config.phi_c].onnx, g("Concat", *maxima, axis=1)))
        # The fully connected layer, equation 9.
        z_Bd = g(ACTIVATIONS[config.phi_a].onnx, g("Gemm", g("Concat", *features, axis=1), "W", "b"))
        parts.append(g("Gemm", z_Bd, "M", "m") if config.tied else z_Bd)
    if config.user_vector:
        parts.append(g("Gather", "P", users_B))
    return g("Concat", *parts, axis=1)


def _last_rows(g: Graph, rows_BXd: str, number: int, width: int) -> str:
    """The last rows of a window: the rows themselves if these are all."""
    return rows_BXd if number == width else g("Slice", rows_BXd, [width - number], [width], [1])


def factors(g: Graph, config: BPRMF | FPMC, users_B: str, read_BX: str) -> str:
    """Add BPR-MF or FPMC: the mean vector of the items that are read, and the user's vector.

    g                  the graph, with the network's parameters
    config             the settings of the model
    users_B, read_BX   the names of the users (B,) and of the items (B, X), int32

    Returns the name of the last states, (B, D) float32.
    """
    parts = []
    if "Q" in g.parameters:
        sum_Bd = g("ReduceSum", g("Gather", "Q", read_BX), [1], keepdims=0)
        num_B1 = g("ReduceSum", g("Cast", _is_item(g, read_BX), to=TensorProto.FLOAT), [1], keepdims=1)
        parts.append(g("Div", sum_Bd, g("Max", num_B1, np.float32(1))))
    if "P" in g.parameters:
        parts.append(g("Gather", "P", users_B))
    return g("Concat", *parts, axis=1)


def gru4rec(g: Graph, config: GRU4Rec, users_B: str, read_BX: str) -> str:
    """Add GRU4Rec. Padding must not change a state, so items move to the left and each row is read to its own length.

    g                  the graph, with the network's parameters
    config             the settings of the model
    users_B, read_BX   the names of the users (B,) and of the items (B, X), int32

    Returns the name of the last states, (B, D) float32.
    """
    p, d = g.parameters, config.d
    is_item_BX = _is_item(g, read_BX)
    length_B = g("ReduceSum", g("Cast", is_item_BX, to=TensorProto.INT32), [1], keepdims=0)
    # Move the items to the left. All padding goes to the last place, which is free in a row that has padding.
    width_1 = g("Shape", read_BX, start=1)
    place_BX = g("Where", is_item_BX, _place(g, is_item_BX), g("Cast", g("Sub", width_1, [1]), to=TensorProto.INT32))
    zeros_BX = g("Mul", read_BX, np.int32(0))
    moved_BX = g("ScatterElements", zeros_BX, place_BX, read_BX, axis=1)
    items_XBd = g("Gather", "V", g("Transpose", moved_BX, perm=[1, 0]))
    # The operator takes the gates in the order z, r, candidate, with one matrix row for each output.
    from_items, from_state = (_zrh(p[name])[None] for name in ("W", "U"))
    bias = np.concatenate([_zrh(p["b"]), np.zeros(3 * d, dtype=np.float32)])[None]
    inputs = (items_XBd, from_items, from_state, bias, length_B)
    last_1Bd = g("GRU", *inputs, hidden_size=d, linear_before_reset=1, outputs=2)
    return g("Squeeze", last_1Bd, [0])


def sasrec(g: Graph, config: SASRec, users_B: str, read_BX: str) -> str:
    """Add SASRec. In the last block only the last place computes a query, because only its state is wanted.

    g                  the graph, with the network's parameters
    config             the settings of the model
    users_B, read_BX   the names of the users (B,) and of the items (B, X), int32

    Returns the name of the last states, (B, D) float32.
    """
    p, d, heads = g.parameters, config.d, config.num_heads
    x = _with_positions(g, g("Mul", g("Gather", "Q", read_BX), np.sqrt(np.float32(d))), read_BX)
    mask_B1XX = _attention_mask(g, read_BX)
    for block in range(config.num_blocks):
        # Attention: keys and values of all places; queries of the places whose state is needed.
        A, W1, b1, W2, b2 = (p[name][block] for name in ("A", "W1", "b1", "W2", "b2"))
        y = _layer_norm(g, x, p["N"][block, 0])
        keys, values = (g("MatMul", y, A[:, start : start + d]) for start in (d, 2 * d))
        if block == config.num_blocks - 1:
            x, y, mask_B1XX = _last(g, x), _last(g, y), _last(g, mask_B1XX, axis=2)
        queries = g("MatMul", y, A[:, :d] / np.sqrt(np.float32(d // heads)))
        x = g("Add", x, _attend(g, queries, keys, values, mask_B1XX, heads))
        # The two point-wise layers.
        y = g("Relu", g("Add", g("MatMul", _layer_norm(g, x, p["N"][block, 1]), W1), b1))
        x = g("Add", x, g("Add", g("MatMul", y, W2), b2))
    return g("Squeeze", _layer_norm(g, x, p["n"]), [1])


def esasrec(g: Graph, config: ESASRec, users_B: str, read_BX: str) -> str:
    """Add eSASRec. As in SASRec, the last block computes only the last place after its keys and values.

    g                  the graph, with the network's parameters
    config             the settings of the model
    users_B, read_BX   the names of the users (B,) and of the items (B, X), int32

    Returns the name of the last states, (B, D) float32.
    """
    p, d, heads, hidden = g.parameters, config.d, config.num_heads, config.expansion * config.d
    x = _with_positions(g, g("Gather", "Q", read_BX), read_BX)
    mask_B1XX = _attention_mask(g, read_BX)
    for block in range(config.num_blocks):
        A, bQ, WO, bO, W1, W2, G, bG = (p[name][block] for name in ("A", "bQ", "WO", "bO", "W1", "W2", "G", "bG"))
        # Attention and its gate: keys and values of all places; queries of the places whose state is needed.
        y = _layer_norm(g, x, p["N"][block, 0])
        keys, values = (g("MatMul", y, A[:, start : start + d]) for start in (d, 2 * d))
        if block == config.num_blocks - 1:
            x, y, mask_B1XX = _last(g, x), _last(g, y), _last(g, mask_B1XX, axis=2)
        scale = np.sqrt(np.float32(d // heads))
        queries = g("Add", g("MatMul", y, A[:, :d] / scale), bQ / scale)
        attended = g("Add", g("MatMul", _attend(g, queries, keys, values, mask_B1XX, heads), WO), bO)
        x = g("Add", x, g("Mul", _gate(g, x, G[0], bG[0]), attended))
        # The layers and their gate.
        y = _layer_norm(g, x, p["N"][block, 1])
        w, u = (g("MatMul", y, W1[:, start : start + hidden]) for start in (0, hidden))
        y = g("MatMul", g("Mul", g("Mul", w, g("Sigmoid", w)), u), W2)
        x = g("Add", x, g("Mul", _gate(g, x, G[1], bG[1]), y))
    return g("Squeeze", x, [1])


def nextitnet(g: Graph, config: NextItNet, users_B: str, read_BX: str) -> str:
    """Add NextItNet: dilated convolutions over the items before each place; padding is zero in every layer.

    g                  the graph, with the network's parameters
    config             the settings of the model
    users_B, read_BX   the names of the users (B,) and of the items (B, X), int32

    Returns the name of the last states, (B, D) float32.
    """
    p = g.parameters
    is_item_BX1 = g("Cast", g("Unsqueeze", _is_item(g, read_BX), [2]), to=TensorProto.FLOAT)
    width = g("Shape", read_BX, start=1)
    x = y = g("Gather", "Q", read_BX)
    for layer, gap in enumerate(config.layer_dilations):
        # One copy of the sequence for each place of the kernel, shifted by how far back that place reads.
        back = reads_back(config.kernel, gap)
        padded = g("Pad", y, [0, back[0], 0, 0, 0, 0])
        starts = [back[0] - distance for distance in back]
        shifted = [g("Slice", padded, [start], g("Add", width, [start]), [1]) for start in starts]
        y = g("Add", g("MatMul", g("Concat", *shifted, axis=2), p["K"][layer]), p["bK"][layer])
        y = g("Mul", g("Relu", _layer_norm(g, y, p["N"][layer])), is_item_BX1)
        if layer % 2:  # the second layer of a block: add the input of the block
            x = y = g("Add", x, y)
    return g("Squeeze", _last(g, x), [1])


NETWORKS: Registry[NetworkGraph] = Registry(
    "a network that can be exported",
    "caser.exported",
    {
        "bpr-mf": NetworkGraph(factors, windows=True),
        "caser": NetworkGraph(caser, windows=True),
        "esasrec": NetworkGraph(esasrec, windows=False),
        "fpmc": NetworkGraph(factors, windows=True),
        "gru4rec": NetworkGraph(gru4rec, windows=False),
        "nextitnet": NetworkGraph(nextitnet, windows=False),
        "sasrec": NetworkGraph(sasrec, windows=False),
    },
    instance_of(NetworkGraph),
)
"""The networks that can be exported, by the name of their model."""


def _is_item(g: Graph, read_BX: str) -> str:
    """Whether a place holds an item, not padding, (B, X) bool."""
    return g("Greater", read_BX, np.int32(0))


def _place(g: Graph, is_item_BX: str) -> str:
    """The number of items before each item, (B, X) int32; -1 for padding on the left."""
    return g("Sub", g("CumSum", g("Cast", is_item_BX, to=TensorProto.INT32), np.int32(1)), np.int32(1))


def _layer_norm(g: Graph, values: str, gain_and_shift_2d: NDArray[Any]) -> str:
    return g("LayerNormalization", values, *gain_and_shift_2d, epsilon=LAYER_NORM_EPSILON)


def _with_positions(g: Graph, items_BXd: str, read_BX: str) -> str:
    """Item vectors plus position vectors, and zero for padding, (B, X, d)."""
    is_item_BX = _is_item(g, read_BX)
    places_BXd = g("Gather", "P", g("Max", _place(g, is_item_BX), np.int32(0)))
    return g("Where", g("Unsqueeze", is_item_BX, [2]), g("Add", items_BXd, places_BXd), np.float32(0))


def _attention_mask(g: Graph, read_BX: str) -> str:
    """0 where a place attends to another, and -inf elsewhere, (B, 1, X, X).

    An item attends to itself and to the items before it; padding attends only to itself.
    """
    width = g("Squeeze", g("Shape", read_BX, start=1))
    places_X = g("Range", np.int64(0), width, np.int64(1))
    query_places_X1 = g("Unsqueeze", places_X, [1])
    earlier_BXX = g("And", g("Unsqueeze", _is_item(g, read_BX), [1]), g("Less", places_X, query_places_X1))
    attends_BXX = g("Or", earlier_BXX, g("Equal", places_X, query_places_X1))
    return g("Unsqueeze", g("Where", attends_BXX, np.float32(0), np.float32(-np.inf)), [1])


def _attend(g: Graph, queries: str, keys: str, values: str, mask_B1XX: str, heads: int) -> str:
    """Attention of all heads, (B, places of the queries, d). The queries are divided by the root of a head's width."""
    q, v = (_heads(g, part, heads, [0, 2, 1, 3]) for part in (queries, values))
    k = _heads(g, keys, heads, [0, 2, 3, 1])
    weights = g("Softmax", g("Add", g("MatMul", q, k), mask_B1XX), axis=-1)
    return g("Reshape", g("Transpose", g("MatMul", weights, v), perm=[0, 2, 1, 3]), [0, 0, -1])


def _gate(g: Graph, values: str, weights: NDArray[Any], bias_d: NDArray[Any]) -> str:
    """A gate between 0 and 1 for each coordinate, computed from the values."""
    return g("Sigmoid", g("Add", g("MatMul", values, weights), bias_d))


def _heads(g: Graph, values_BXd: str, heads: int, order: list[int]) -> str:
    """The width split into heads, (B, X, heads, d / heads), with the axes in the given order."""
    return g("Transpose", g("Reshape", values_BXd, [0, 0, heads, -1]), perm=order)


def _last(g: Graph, values: str, axis: int = 1) -> str:
    """The last place of an axis, which keeps the axis."""
    return g("Slice", values, [-1], [2**31], [axis])


def _zrh(rz_h: NDArray[Any]) -> NDArray[Any]:
    """Turn the columns of r, z and the candidate into the rows of z, r and the candidate."""
    r, z, h = np.split(rz_h, 3, axis=-1)
    return np.concatenate([z, r, h], axis=-1).T
