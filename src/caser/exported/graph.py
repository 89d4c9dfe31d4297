"""A graph of ONNX operators, written as if each were a function. Needs onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from caser.models.base import Arrays

OPSET, IR = 21, 10
"""Versions of the operators and of the layout of the file, which every onnxruntime since 1.18 knows."""

Value = str | NDArray[Any] | np.generic | list[int]
"""A value or a parameter by name, or a constant; a list becomes int64."""

KINDS = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}


class Graph:
    """Nodes and constants in the order they are needed; a value goes by its name.

    What a node is given is a value, a letter of the parameters, an array, or whole numbers. A parameter is stored once,
    under its letter, however often it is read.

    >>> graph = Graph({"W": np.eye(2, dtype=np.float32)})
    >>> graph("Relu", graph("MatMul", "x", "W")), [node.op_type for node in graph.nodes], list(graph.constants)
    ('relu_1', ['MatMul', 'Relu'], ['W'])
    """

    def __init__(self, parameters: Arrays) -> None:
        self.parameters = parameters
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def __call__(self, operator: str, *inputs: Value, **attributes: Any) -> str:
        """Add a node; returns the name of its value, which `name=` gives, or of its last one, of `outputs=` many."""
        name = attributes.pop("name", f"{operator.lower()}_{len(self.nodes)}")
        names = [*(f"{name}_{n}" for n in range(attributes.pop("outputs", 1) - 1)), name]
        self.nodes.append(helper.make_node(operator, [self._name(one) for one in inputs], names, **attributes))
        return str(name)

    def _name(self, value: Value) -> str:
        if isinstance(value, str):
            if value in self.parameters:
                self.constants[value] = self.parameters[value]
            return value
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.array(value, dtype=np.int64) if isinstance(value, list) else np.asarray(value)
        return name

    def model(
        self, inputs: dict[str, tuple[str, list[str | int]]], outputs: dict[str, tuple[str, list[str | int]]]
    ) -> onnx.ModelProto:
        """The graph as a model, its inputs and outputs given with type and shape; a constant may be an input too, and
        then it is what holds when the input is not given.
        """
        whole = helper.make_graph(self.nodes, "caser", _described(inputs), _described(outputs))
        # One tensor at a time: `make_graph` would copy them all.
        for name, values in self.constants.items():
            whole.initializer.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _described(values: dict[str, tuple[str, list[str | int]]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, KINDS[kind], shape) for name, (kind, shape) in values.items()]
