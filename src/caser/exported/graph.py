"""A graph of ONNX operators, which is written as if each operator were a function. Needs onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from caser.models.base import Arrays

OPSET, IR = 21, 10
"""Versions of the operators and of the file's layout; every onnxruntime since 1.18 knows them."""

Value = str | NDArray[Any] | np.generic | list[int]
"""An input of an operator: the name of a value or of a parameter, or a constant; a list becomes an int64 array."""

KINDS = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}


class Graph:
    """The nodes and the constants of a graph; every value has a name.

    Calling the graph adds a node. Its inputs are names of values, letters of parameters, arrays, or lists of whole
    numbers. A parameter is stored once, under its letter, no matter how many nodes read it.

    >>> graph = Graph({"W": np.eye(2, dtype=np.float32)})
    >>> graph("Relu", graph("MatMul", "x", "W")), [node.op_type for node in graph.nodes], list(graph.constants)
    ('relu_1', ['MatMul', 'Relu'], ['W'])
    """

    def __init__(self, parameters: Arrays) -> None:
        """Start an empty graph.

        parameters  the network's parameters by name; only those that a node reads are stored
        """
        self.parameters = parameters
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def __call__(self, operator: str, *inputs: Value, **attributes: Any) -> str:
        """Add a node, and return the name of its value.

        operator    the name of the ONNX operator
        inputs      its inputs, in the operator's order
        attributes  its attributes; besides them, `name` gives the value a name, and `outputs` is the number of values
                    that the operator returns, of which the last one's name is returned
        """
        name = attributes.pop("name", f"{operator.lower()}_{len(self.nodes)}")
        names = [*(f"{name}_{n}" for n in range(attributes.pop("outputs", 1) - 1)), name]
        self.nodes.append(helper.make_node(operator, [self._name(value) for value in inputs], names, **attributes))
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
        """Return the graph as a model.

        inputs   the type and the shape of each input, by name; a letter in a shape stands for any length
        outputs  the type and the shape of each output, by name

        An input that is also a constant is optional: the constant is its default.
        """
        whole = helper.make_graph(self.nodes, "caser", _described(inputs), _described(outputs))
        # Add the tensors one by one, because `make_graph` would copy all of them at once.
        for name, values in self.constants.items():
            whole.initializer.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _described(values: dict[str, tuple[str, list[str | int]]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, KINDS[kind], shape) for name, (kind, shape) in values.items()]
