"""Faults of a family's graphs and their weights, each planted in one type below a family's folder."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from runtime.documents.family_layout import graph_data_path, graph_path

VARIANT, OTHER = "b4-k3", "b4-k2"  # the graphs that are damaged, and what stands in the place of the first
BLOCK = 1
TYPES = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.FLOAT16: np.float16, onnx.TensorProto.UINT8: np.uint8}
Plant = Callable[[Path, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What is wrong, and what makes it so in the family at a folder, in one type."""

    name: str
    plant: Plant
    quantised_only: bool = False


def _graph(folder: Path, precision: str, edit: Callable[[Any], None]) -> None:
    path = folder / graph_path(precision, VARIANT)
    model = onnx.load(str(path), load_external_data=False)
    edit(model)
    path.unlink()  # other links of it stay
    path.write_bytes(model.SerializeToString())


def _values(folder: Path, precision: str, name: str) -> list[Any]:
    """The stored parts of a tensor, mapped from the data file: itself, or codes and scales."""
    model = onnx.load(str(folder / graph_path(precision, VARIANT)), load_external_data=False)
    found = [each for each in model.graph.initializer if each.name in (name, f"{name}.packed", f"{name}.scales")]
    assert found, name
    return [
        np.memmap(
            folder / graph_data_path(precision),
            TYPES[tensor.data_type],
            "r+",
            int(next(entry.value for entry in tensor.external_data if entry.key == "offset")),
            tuple(tensor.dims),
        )
        for tensor in found
    ]


def _flip(bit: int, folder: Path, precision: str) -> None:
    """Flip a bit of the first weight, counted from its lowest, or its highest for −1."""
    values = _values(folder, precision, f"blocks.{BLOCK}.experts.fc1")[0]
    data = values.reshape(-1)[:1].view(np.uint8)
    data[-1 if bit < 0 else 0] ^= 0x40 if bit < 0 else 1 << bit


def _lose_expert(folder: Path, precision: str) -> None:
    _values(folder, precision, f"blocks.{BLOCK}.experts.fc2")[-1][3] = 0


def _swap_experts(folder: Path, precision: str) -> None:
    for name in ("fc1", "fc2"):
        for values in _values(folder, precision, f"blocks.{BLOCK}.experts.{name}"):
            values[[2, 3]] = values[[3, 2]].copy()


def _double_scale(folder: Path, precision: str) -> None:
    _values(folder, precision, f"blocks.{BLOCK}.experts.fc1")[1].reshape(-1)[:1] *= 2


def _scale_norm(folder: Path, precision: str) -> None:
    values = _values(folder, precision, f"blocks.{BLOCK}.feed_forward_norm")[0]
    values[:] = values[:] * values.dtype.type(1.25)


def _shift_rotation(folder: Path, precision: str) -> None:
    values = _values(folder, precision, "rotary.cos")[0]
    values[:] = np.roll(values, 1, 0)


def _cut(folder: Path, precision: str) -> None:
    path = folder / graph_data_path(precision)
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


def _attribute(layer: int, node: str, key: str, change: Callable[[Any], Any], folder: Path, precision: str) -> None:
    def edit(model: Any) -> None:
        found = next(each for each in model.graph.node if each.name == f"layers.{layer}/{node}")
        attribute = next(each for each in found.attribute if each.name == key)
        attribute.CopyFrom(onnx.helper.make_attribute(key, change(onnx.helper.get_attribute_value(attribute))))

    _graph(folder, precision, edit)


def _another_block(folder: Path, precision: str) -> None:
    """Let the experts of one block stand in the place of another's."""

    def edit(model: Any) -> None:
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        for name, tensor in tensors.items():
            if name.startswith(f"blocks.{BLOCK}.experts."):
                other = tensors[name.replace(f"blocks.{BLOCK}.", f"blocks.{BLOCK + 1}.")]
                del tensor.external_data[:]
                tensor.external_data.extend(other.external_data)

    _graph(folder, precision, edit)


def _another_variant(folder: Path, precision: str) -> None:
    path = folder / graph_path(precision, VARIANT)
    path.unlink()
    path.write_bytes((folder / graph_path(precision, OTHER)).read_bytes())


def _missing(path: Callable[[str], str], folder: Path, precision: str) -> None:
    (folder / path(precision)).unlink()


def _one_more(value: int) -> int:
    return value + 1


FAULTS = (
    Fault(name="lowest bit of a weight", plant=partial(_flip, 0)),
    Fault(name="high bit of a weight", plant=partial(_flip, -1)),
    Fault(name="an expert of zeros", plant=_lose_expert),
    Fault(name="two experts swapped", plant=_swap_experts),
    Fault(name="a scale doubled", plant=_double_scale, quantised_only=True),
    Fault(name="a norm times 1.25", plant=_scale_norm),
    Fault(name="rotation one position on", plant=_shift_rotation),
    *(
        Fault(name=f"k one more in layer {layer}", plant=partial(_attribute, layer, "experts", "k", _one_more))
        for layer in (0, 1, 3)
    ),
    Fault(
        name="weights of experts made sums of one",
        plant=partial(_attribute, 2, "experts", "normalize_routing_weights", lambda _: 1),
    ),
    Fault(
        name="a norm's epsilon",
        plant=partial(_attribute, 2, "output_norm", "epsilon", lambda epsilon: 10 * epsilon),
    ),
    Fault(name="attention in a window", plant=partial(_attribute, 2, "attention", "local_window_size", lambda _: 8)),
    Fault(name="experts of another block", plant=_another_block),
    Fault(name="another variant's graph", plant=_another_variant),
    Fault(name="half of the data file", plant=_cut),
    Fault(name="no data file", plant=partial(_missing, graph_data_path)),
    Fault(name="no graph", plant=partial(_missing, lambda precision: graph_path(precision, VARIANT))),
)
