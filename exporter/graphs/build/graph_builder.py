"""A small builder of ONNX graphs whose weights stand in one external data file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.graphs.weights.stored_tensor import ColumnTiles, Quantisation, QuantisedPart, StoredTensor, Transposed

MICROSOFT = "com.microsoft"
# MatMulNBits with this rounds what it multiplies to 8 bits, in groups, where a session packs weights: what is fast on a
# CPU. Without packing all products are in float.
ACTIVATIONS_IN_8_BITS = 4
OPSETS = {"": 23, MICROSOFT: 1}
IR_VERSION = 11
DATA_TYPES = {
    "float32": ir.DataType.FLOAT,
    "float16": ir.DataType.FLOAT16,
    "bfloat16": ir.DataType.BFLOAT16,
    "uint8": ir.DataType.UINT8,
}


class GraphBuilder:
    """Collects nodes, inputs, outputs and initializers in order; `weights` are the tensors of the external file
    `data_file` by name."""

    def __init__(self, weights: Mapping[str, StoredTensor], data_file: str, dtype: str) -> None:
        """An empty graph whose floating-point values have `dtype` (a numpy type name)."""
        self.dtype = DATA_TYPES[dtype]
        self.half = self.dtype != ir.DataType.FLOAT
        self._weights, self._data_file = weights, data_file
        self._nodes: list[ir.Node] = []
        self._inputs: list[ir.Value] = []
        self._outputs: list[ir.Value] = []
        self._initializers: dict[str, ir.Value] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._weights

    def input(self, name: str, dtype: ir.DataType, shape: Sequence[int | str]) -> ir.Value:
        """A graph input; names in `shape` are symbolic dimensions."""
        value = ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))
        self._inputs.append(value)
        return value

    def output(self, value: ir.Value, name: str, dtype: ir.DataType, shape: Sequence[int | str]) -> None:
        """Make `value` a graph output of that name, type and shape."""
        value.name, value.type, value.shape = name, ir.TensorType(dtype), ir.Shape(shape)
        self._outputs.append(value)

    def weight(self, name: str) -> ir.Value:
        """The initializer that points at a tensor of the external file."""
        if name not in self._initializers:
            stored = self._weights[name]
            shape, dtype = ir.Shape(stored.shape), DATA_TYPES[stored.dtype]
            tensor = ir.ExternalTensor(self._data_file, stored.offset, stored.bytes, dtype, shape=shape, name=name)
            self._initializers[name] = ir.Value(name=name, shape=shape, type=ir.TensorType(dtype), const_value=tensor)
        return self._initializers[name]

    def constant(self, name: str, values: Any) -> ir.Value:
        """A small int64 constant kept in the graph itself."""
        if name not in self._initializers:
            array = np.asarray(values, np.int64)
            self._initializers[name] = ir.Value(
                name=name,
                shape=ir.Shape(array.shape),
                type=ir.TensorType(ir.DataType.INT64),
                const_value=ir.tensor(array, name=name),
            )
        return self._initializers[name]

    def number(self, name: str, value: float) -> ir.Value:
        """A float32 scalar kept in the graph itself."""
        if name not in self._initializers:
            tensor = ir.tensor(np.asarray(value, np.float32), name=name)
            self._initializers[name] = ir.Value(
                name=name, shape=ir.Shape(()), type=ir.TensorType(ir.DataType.FLOAT), const_value=tensor
            )
        return self._initializers[name]

    def optional_input(self, name: str, values: Any) -> ir.Value:
        """A small int64 graph input that has `values` where the caller gives none."""
        value = self.constant(name, values)
        self._inputs.append(value)
        return value

    def shape(self, weight: str) -> tuple[int, ...]:
        """The shape of a tensor of the external file."""
        return self._weights[weight].shape

    def node(
        self,
        kind: str,
        inputs: Sequence[ir.Value | None],
        *,
        name: str,
        outputs: int = 1,
        domain: str = "",
        **attributes: Any,
    ) -> tuple[ir.Value, ...]:
        """Append a node and return its outputs, named after it."""
        node = ir.node(kind, inputs, attributes, domain=domain, num_outputs=outputs, name=name)
        for index, value in enumerate(node.outputs):
            value.name = f"{name}:{index}"
        self._nodes.append(node)
        return tuple(node.outputs)

    def one(self, kind: str, *inputs: ir.Value | None, name: str, domain: str = "", **attributes: Any) -> ir.Value:
        """Append a node with one output and return that."""
        return self.node(kind, inputs, name=name, domain=domain, **attributes)[0]

    def cast(self, value: ir.Value, dtype: ir.DataType, *, name: str) -> ir.Value:
        """The value in another type; in a float32 graph, whose floating-point values have one type, as it is."""
        return self.one("Cast", value, name=name, to=int(dtype)) if self.half else value

    def in_float32(self, kind: str, value: ir.Value, *inputs: ir.Value, name: str, **attributes: Any) -> ir.Value:
        """Append a node that computes in float32 and rounds to the graph's type: for kinds that CUDA has no bfloat16
        kernel of."""
        wide = self.cast(value, ir.DataType.FLOAT, name=f"{name}/float32")
        return self.cast(self.one(kind, wide, *inputs, name=name, **attributes), self.dtype, name=f"{name}/rounded")

    def linear(self, value: ir.Value, stem: str, *, name: str) -> ir.Value:
        """value · weightᵀ (+ bias): `stem`.weight as the source's [out, in] rows, transposed or quantised, and
        `stem`.bias where there is one."""
        weight, bias = f"{stem}.weight", f"{stem}.bias"
        if f"{weight}.packed" in self:
            product = self._quantised_linear(value, weight, name)
        elif isinstance(self._weights[weight].fill, ColumnTiles):
            product = self._tiled_linear(value, weight, name)
        elif isinstance(self._weights[weight].fill, Transposed):
            product = self.one("MatMul", value, self.weight(weight), name=name)
        else:
            product = self.one("FusedMatMul", value, self.weight(weight), name=name, domain=MICROSOFT, transB=1)
        return self.one("Add", product, self.weight(bias), name=f"{name}/bias") if bias in self else product

    def _tiled_linear(self, value: ir.Value, weight: str, name: str) -> ir.Value:
        """value [batch, sequence, in] with each column tile, and their columns side by side: [batch, sequence, out]."""
        tiles, _, columns = self.shape(weight)
        wide = self.one("Unsqueeze", value, self.constant("axis_1", [1]), name=f"{name}/wide")
        products = self.one("MatMul", wide, self.weight(weight), name=name)
        turned = self.one("Transpose", products, name=f"{name}/turned", perm=[0, 2, 1, 3])
        return self.one(
            "Reshape", turned, self.constant(f"join_{tiles}_panels", [0, 0, tiles * columns]), name=f"{name}/joined"
        )

    def _quantised_linear(self, value: ir.Value, weight: str, name: str) -> ir.Value:
        rows, groups, _ = self._weights[f"{weight}.packed"].shape
        how = self.quantisation(weight)
        packed, scales = self.weight(f"{weight}.packed"), self.weight(f"{weight}.scales")
        sizes = {"N": rows, "K": groups * how.group_size, "bits": how.bits, "block_size": how.group_size}
        return self.one(
            "MatMulNBits",
            value,
            packed,
            scales,
            name=name,
            domain=MICROSOFT,
            accuracy_level=ACTIVATIONS_IN_8_BITS,
            **sizes,
        )

    def quantisation(self, weight: str) -> Quantisation:
        """How a quantised matrix is stored."""
        fill = self._weights[f"{weight}.packed"].fill
        assert isinstance(fill, QuantisedPart)
        return fill.how

    def model(self, name: str, metadata: Mapping[str, str]) -> ir.Model:
        """The finished model."""
        graph = ir.Graph(
            self._inputs,
            self._outputs,
            nodes=self._nodes,
            initializers=list(self._initializers.values()),
            opset_imports=OPSETS,
            name=name,
        )
        return ir.Model(graph, ir_version=IR_VERSION, producer_name="trimoe", metadata_props=dict(metadata))


def save(model: ir.Model, path: Path) -> None:
    """Write the graph; its external data is expected to stand beside it."""
    ir.save(model, path)
