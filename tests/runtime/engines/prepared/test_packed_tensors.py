"""Notes of packed weights in a graph: read as the runtime writes them, added without changing anything else."""

import onnx
import pytest

from runtime.engines.prepared.packed_tensors import Packed, Part, packed_tensors, tensor_names, with_packed
from runtime.errors import VerificationError

PACKED = Packed(key="MatMulNBits+7", parts=(Part(offset=4096, bytes=70), Part(offset=8192, bytes=3)))


def model(*names: str) -> onnx.ModelProto:
    graph = onnx.GraphProto(name="g")
    for name in names:
        tensor = graph.initializer.add(name=name, data_type=2, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="weights.bin")
        tensor.external_data.add(key="offset", value="16")
    graph.node.add(op_type="Identity", input=[names[0]], output=["y"])
    return onnx.ModelProto(ir_version=11, graph=graph, producer_name="p")


def notes(found: onnx.ModelProto) -> dict[str, list[tuple[str, str]]]:
    return {
        tensor.name: [(one.key, one.value) for one in tensor.external_data][2:] for tensor in found.graph.initializer
    }


def test_notes_stand_at_their_tensors_and_nothing_else_changes() -> None:
    before = model("a", "b")
    after = onnx.ModelProto.FromString(
        with_packed(before.SerializeToString(), {"b": (PACKED,), "elsewhere": (PACKED,)})
    )
    assert notes(after) == {"a": [], "b": [("prepacked_0", "MatMulNBits+7|4096;70;0|8192;3;0")]}
    del after.graph.initializer[1].external_data[2:]
    assert after == before


def test_what_was_added_is_read_again() -> None:
    other = Packed(key="QMoE+9", parts=(Part(offset=0, bytes=1),))
    data = with_packed(model("a", "b", "c").SerializeToString(), {"a": (PACKED, other), "c": ()})
    assert packed_tensors(data) == {"a": (PACKED, other)}
    assert tensor_names(data) == {"a", "b", "c"}


def test_a_key_stands_at_one_of_the_tensors_that_are_packed_to_the_same() -> None:
    data = with_packed(model("a", "b").SerializeToString(), {"a": (PACKED,), "b": (PACKED,)})
    assert packed_tensors(data) == {"a": (PACKED,)}


@pytest.mark.parametrize("note", ["MatMulNBits+7|1;x;0", "MatMulNBits+7|1"])
def test_a_note_that_cannot_be_read_is_refused(note: str) -> None:
    found = model("a")
    found.graph.initializer[0].external_data.add(key="prepacked_0", value=note)
    with pytest.raises(VerificationError, match="is no note of packed weights that this can read"):
        packed_tensors(found.SerializeToString())
