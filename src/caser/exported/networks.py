"""Each network as ONNX operators, from what it reads of the histories to its last state.

Line by line the equations that `models` has in NumPy, under the same letters; the tests hold all forms to equal scores.
Why torch's own exporter is not used is said in docs/export.md. Needs onnx.

Shape suffixes: B queries, X items that are read, D state width, d width of vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import TensorProto

from caser.exported.graph import Graph
from caser.models.activations import ACTIVATIONS
from caser.models.sessions.nextitnet import reads_back
from caser.models.sessions.scorer import LAYER_NORM_EPSILON

Network = Callable[[Graph, Any, str, str], str]
"""Graph, settings, users (B,) and items (B, X), left-padded with zeros, to last states (B, D)."""


def caser(g: Graph, config: Any, users_B: str, read_BX: str) -> str:
    """Caser, window by window. All places of a horizontal filter are one product: four times faster than the runtime's
    convolution for 64 queries, a third faster for one.
    """
    parts = []
    if config.has_branches:
        p, features = g.parameters, []
        E_BLd = g("Gather", "Q", read_BX)  # equation 1
        if config.n_v:  # equations 6 and 7
            features.append(g("Reshape", g("Add", g("MatMul", "G", E_BLd), p["bG"][:, None]), [0, -1]))
        if config.n_h:  # equations 3 to 5; phi_c never decreases, so the maximum goes first
            maxima = []
            for row, h in enumerate(config.filter_heights):
                places = config.L - h + 1
                rows = (np.arange(places)[:, None] + np.arange(h)).ravel()
                read = g("Reshape", g("Gather", E_BLd, rows, axis=1), [0, places, h * config.d])
                answers = g("MatMul", read, p[f"F{h}"].reshape(h * config.d, config.n_h))
                maxima.append(g("Add", g("ReduceMax", answers, [1], keepdims=0), p["bF"][row]))
            features.append(g(ACTIVATIONS[config.phi_c].onnx, g("Concat", *maxima, axis=1)))
        parts.append(
            g(ACTIVATIONS[config.phi_a].onnx, g("Gemm", g("Concat", *features, axis=1), "W", "b"))
        )  # equation 9
    if config.user_vector:
        parts.append(g("Gather", "P", users_B))
    return g("Concat", *parts, axis=1)


def factors(g: Graph, config: Any, users_B: str, read_BX: str) -> str:
    """BPR-MF and FPMC: the mean vector of the items that are read, and the user's."""
    parts = []
    if "Q" in g.parameters:
        sum_Bd = g("ReduceSum", g("Gather", "Q", read_BX), [1], keepdims=0)
        num_B1 = g("ReduceSum", g("Cast", _is_item(g, read_BX), to=TensorProto.FLOAT), [1], keepdims=1)
        parts.append(g("Div", sum_Bd, g("Max", num_B1, np.float32(1))))
    if "P" in g.parameters:
        parts.append(g("Gather", "P", users_B))
    return g("Concat", *parts, axis=1)


def gru4rec(g: Graph, config: Any, users_B: str, read_BX: str) -> str:
    """GRU4Rec. Padding leaves a state as it is: items move to the left, and each row is read to its own length."""
    p, d = g.parameters, config.d
    is_item_BX = _is_item(g, read_BX)
    length_B = g("ReduceSum", g("Cast", is_item_BX, to=TensorProto.INT32), [1], keepdims=0)
    # Every item goes to its place in the row, and padding to the end, which no item has if there is padding.
    width_1 = g("Shape", read_BX, start=1)
    place_BX = g("Where", is_item_BX, _place(g, is_item_BX), g("Cast", g("Sub", width_1, [1]), to=TensorProto.INT32))
    nothing_BX = g("Mul", read_BX, np.int32(0))
    moved_BX = g("ScatterElements", nothing_BX, place_BX, read_BX, axis=1)
    items_XBd = g("Gather", "V", g("Transpose", moved_BX, perm=[1, 0]))
    # The operator wants the gates in the order z, r, candidate, one matrix row for each output.
    from_items, from_state = (_zrh(p[name])[None] for name in ("W", "U"))
    bias = np.concatenate([_zrh(p["b"]), np.zeros(3 * d, dtype=np.float32)])[None]
    read = (items_XBd, from_items, from_state, bias, length_B)
    last_1Bd = g("GRU", *read, hidden_size=d, linear_before_reset=1, outputs=2)
    return g("Squeeze", last_1Bd, [0])


def sasrec(g: Graph, config: Any, users_B: str, read_BX: str) -> str:
    """SASRec. Of the last block only the last place is wanted, so only there it asks."""
    p, d, heads = g.parameters, config.d, config.num_heads
    is_item_BX = _is_item(g, read_BX)
    place_BX = g("Max", _place(g, is_item_BX), np.int32(0))
    items_BXd = g("Mul", g("Gather", "Q", read_BX), np.sqrt(np.float32(d)))
    is_item_BX1 = g("Unsqueeze", is_item_BX, [2])
    x = g("Where", is_item_BX1, g("Add", items_BXd, g("Gather", "P", place_BX)), np.float32(0))
    # An item looks at itself and at items before it; padding at itself, and nothing looks at padding.
    width = g("Squeeze", g("Shape", read_BX, start=1))
    places_X = g("Range", np.int64(0), width, np.int64(1))
    asks_X1 = g("Unsqueeze", places_X, [1])
    earlier_BXX = g("And", g("Unsqueeze", is_item_BX, [1]), g("Less", places_X, asks_X1))
    may_look_BXX = g("Or", earlier_BXX, g("Equal", places_X, asks_X1))
    hidden_B1XX = g("Unsqueeze", g("Where", may_look_BXX, np.float32(0), np.float32(-np.inf)), [1])
    for block in range(config.num_blocks):
        A, W1, b1, W2, b2 = (p[name][block] for name in ("A", "W1", "b1", "W2", "b2"))
        y = _layer_norm(g, x, p["N"][block, 0])
        q, k, v = (A[:, start : start + d] for start in (0, d, 2 * d))
        keys = _heads(g, g("MatMul", y, k), heads, [0, 2, 3, 1])
        values = _heads(g, g("MatMul", y, v), heads, [0, 2, 1, 3])
        if block == config.num_blocks - 1:
            x, y = _last(g, x), _last(g, y)
            hidden_B1XX = g("Slice", hidden_B1XX, [-1], [2**31], [2])
        asked = _heads(g, g("MatMul", y, q / np.sqrt(np.float32(d // heads))), heads, [0, 2, 1, 3])
        weights = g("Softmax", g("Add", g("MatMul", asked, keys), hidden_B1XX), axis=-1)
        looked = g("Transpose", g("MatMul", weights, values), perm=[0, 2, 1, 3])
        x = g("Add", x, g("Reshape", looked, [0, 0, d]))
        y = g("Relu", g("Add", g("MatMul", _layer_norm(g, x, p["N"][block, 1]), W1), b1))
        x = g("Add", x, g("Add", g("MatMul", y, W2), b2))
    return g("Squeeze", _layer_norm(g, x, p["n"]), [1])


def nextitnet(g: Graph, config: Any, users_B: str, read_BX: str) -> str:
    """NextItNet: dilated convolutions over what lies before each place; padding is zero in every layer."""
    p = g.parameters
    is_item_BX1 = g("Cast", g("Unsqueeze", _is_item(g, read_BX), [2]), to=TensorProto.FLOAT)
    width = g("Shape", read_BX, start=1)
    x = y = g("Gather", "Q", read_BX)
    for layer, gap in enumerate(config.layer_dilations):
        back = reads_back(config.kernel, gap)
        padded = g("Pad", y, [0, back[0], 0, 0, 0, 0])
        starts = [back[0] - far for far in back]
        read = [g("Slice", padded, [start], g("Add", width, [start]), [1]) for start in starts]
        y = g("Add", g("MatMul", g("Concat", *read, axis=2), p["K"][layer]), p["bK"][layer])
        y = g("Mul", g("Relu", _layer_norm(g, y, p["N"][layer])), is_item_BX1)
        if layer % 2:  # the end of a block
            x = y = g("Add", x, y)
    return g("Squeeze", _last(g, x), [1])


NETWORKS: Mapping[str, Network] = {
    "bpr-mf": factors,
    "caser": caser,
    "fpmc": factors,
    "gru4rec": gru4rec,
    "nextitnet": nextitnet,
    "sasrec": sasrec,
}
"""The networks that can be exported, by the name of their model."""


def _is_item(g: Graph, read_BX: str) -> str:
    return g("Greater", read_BX, np.int32(0))


def _place(g: Graph, is_item_BX: str) -> str:
    """How many items lie before each, (B, X); -1 where there is none up to here."""
    return g("Sub", g("CumSum", g("Cast", is_item_BX, to=TensorProto.INT32), np.int32(1)), np.int32(1))


def _layer_norm(g: Graph, values: str, gain_and_shift_2d: Any) -> str:
    return g("LayerNormalization", values, *gain_and_shift_2d, epsilon=LAYER_NORM_EPSILON)


def _heads(g: Graph, values_BXd: str, heads: int, order: list[int]) -> str:
    """The width shared out between the heads, (B, X, heads, d / heads), its axes in another order."""
    return g("Transpose", g("Reshape", values_BXd, [0, 0, heads, -1]), perm=order)


def _last(g: Graph, values_BXd: str) -> str:
    return g("Slice", values_BXd, [-1], [2**31], [1])


def _zrh(rz_h: Any) -> Any:
    """Columns of r, z and the candidate as rows of z, r and the candidate."""
    r, z, h = np.split(rz_h, 3, axis=-1)
    return np.concatenate([z, r, h], axis=-1).T
