"""The external data file: what stands where, in which type, and block-wise quantisation."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from exporter.checkpoint.checkpoint import TensorRecord
from exporter.checkpoint.safetensors_header import read_header
from exporter.graphs.check.inspect import check_decoder, check_model
from exporter.graphs.graph_set import plan_tensors
from exporter.graphs.weights.precision import PRECISIONS, find_precision, group_size
from exporter.graphs.weights.quantise import dequantise, group_scales, packed_codes
from exporter.graphs.weights.stored_tensor import (
    ALIGNMENT,
    ColumnTiles,
    ExpertTiles,
    InterleavedRows,
    Quantisation,
    Rows,
    StoredTensor,
    data_bytes,
    with_offsets,
)
from exporter.graphs.weights.write_data import write_weights
from runtime.documents.family_layout import graph_data_path
from runtime.documents.graph_contract import PACKED
from runtime.errors import CheckpointError, PlanError, SourceChangedError
from tests.support.graph_families import GraphFamilies


def write_source(folder: Path, **tensors: np.ndarray) -> dict[str, TensorRecord]:
    save_file(tensors, folder / "model.safetensors")
    records, _, _ = read_header(folder / "model.safetensors")
    return {record.name: record for record in records}


def test_every_tensor_begins_on_a_page_and_the_file_is_little_longer_than_the_weights(
    graph_families: GraphFamilies,
) -> None:
    exported = graph_families.exported("olmoe", hidden_size=128)
    tensors = plan_tensors(exported.source, exported.plan, find_precision("float32"))
    assert all(tensor.offset % ALIGNMENT == 0 for tensor in tensors)
    assert data_bytes(tensors) == (exported.folder / graph_data_path("float32")).stat().st_size
    assert not any(tensor.name.startswith("blocks.2.") for tensor in tensors)


def test_the_rows_of_gate_and_up_stand_in_turn(tmp_path: Path) -> None:
    gate, up = np.arange(6, dtype=np.float32).reshape(3, 2), 10 + np.arange(6, dtype=np.float32).reshape(3, 2)
    records = write_source(tmp_path, gate=gate, up=up)
    tensor = StoredTensor(
        name="fc1", dtype="float32", shape=(1, 6, 2), fill=InterleavedRows(pairs=((records["gate"], records["up"]),))
    )
    write_weights(tmp_path, with_offsets([tensor]), tmp_path, "out.bin", lambda _: None)
    found = np.fromfile(tmp_path / "out.bin", np.float32)[:12].reshape(6, 2)
    np.testing.assert_array_equal(found, [[0, 1], [10, 11], [2, 3], [12, 13], [4, 5], [14, 15]])


def test_expert_tiles_and_column_tiles_stand_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.graphs.weights.write_data.CHUNK_BYTES", 3 * 4 * 4)
    first, second = np.arange(16, dtype=np.float32).reshape(4, 4), np.arange(100, 132, dtype=np.float32).reshape(8, 4)
    records = write_source(tmp_path, first=first, second=second)
    sources = (records["first"], records["second"])
    expert_tiles = StoredTensor(
        name="fc2", dtype="float32", shape=(2, 12, 2), fill=ExpertTiles(sources=sources, tiles=2)
    )
    column_tiles = StoredTensor(name="qkv", dtype="float32", shape=(2, 4, 6), fill=ColumnTiles(sources=sources))
    write_weights(tmp_path, with_offsets([expert_tiles, column_tiles]), tmp_path, "out.bin", lambda _: None)
    whole = np.concatenate([first, second])
    found = np.fromfile(tmp_path / "out.bin", np.float32)
    np.testing.assert_array_equal(found[:48].reshape(2, 12, 2), [whole[:, :2], whole[:, 2:]])
    np.testing.assert_array_equal(found[1024:1072].reshape(2, 4, 6), [whole[:6].T, whole[6:].T])


@pytest.mark.parametrize(
    ("width", "precision", "tiles"),
    [(256, "float32", 4), (130, "float32", 2), (64, "float32", 1), (256, "float16", 1), (256, "int8", 1)],
)
def test_wide_experts_are_tiled_for_the_cpu_alone(
    width: int, precision: str, tiles: int, graph_families: GraphFamilies
) -> None:
    exported = graph_families.exported("olmoe", intermediate_size=width, precision=precision)
    experts = next(
        node
        for node in onnx.load(exported.path("b3-k2"), load_external_data=False).graph.node
        if node.name == "layers.1/experts"
    )
    assert next(attribute for attribute in experts.attribute if attribute.name == "k").i == 2 * tiles
    check_decoder(exported.path("b3-k2"), check_model(exported.path("b3-k2")), top_k=(4, 2, 2))
    stored = {tensor.name: tensor for tensor in plan_tensors(exported.source, exported.plan, find_precision(precision))}
    name = "blocks.1.experts.fc2" + (".packed" if precision == "int8" else "")
    assert stored[name].shape == (8 * tiles, 64, width // tiles)


@pytest.mark.parametrize(("hidden", "shape"), [(512, (24, 512, 64)), (64, (64, 192))])
def test_large_matrices_stand_in_column_tiles(
    hidden: int, shape: tuple[int, ...], graph_families: GraphFamilies
) -> None:
    exported = graph_families.exported("olmoe", hidden_size=hidden, num_key_value_heads=4)
    stored = {tensor.name: tensor for tensor in plan_tensors(exported.source, exported.plan, find_precision("float32"))}
    assert stored["blocks.1.qkv.weight"].shape == shape


def test_bfloat16_is_widened_exactly_and_float32_rounded_to_nearest(tmp_path: Path) -> None:
    values = np.asarray([1.0, -2.5, 3.140625], ml_dtypes.bfloat16)
    wide = np.asarray([1.00390625, 2.0, -0.1], np.float32)
    (tmp_path / "a").mkdir()
    records = write_source(tmp_path / "a", half=values.view(np.uint16), wide=wide)
    half = TensorRecord(
        **{
            **{name: getattr(records["half"], name) for name in ("name", "shape", "file", "begin", "end")},
            "dtype": "BF16",
        }
    )
    tensors = with_offsets(
        [
            StoredTensor(name="widened", dtype="float32", shape=(3,), fill=Rows(sources=(half,))),
            StoredTensor(name="rounded", dtype="bfloat16", shape=(3,), fill=Rows(sources=(records["wide"],))),
        ]
    )
    record = write_weights(tmp_path / "a", tensors, tmp_path, "out.bin", lambda _: None)
    data = (tmp_path / "out.bin").read_bytes()
    np.testing.assert_array_equal(np.frombuffer(data[:12], np.float32), values.astype(np.float32))
    np.testing.assert_array_equal(np.frombuffer(data[4096:4102], ml_dtypes.bfloat16), wide.astype(ml_dtypes.bfloat16))
    assert [tensor.name for tensor in record.tensors] == ["widened", "rounded"]
    assert record.size == len(data) == 2 * ALIGNMENT


def test_a_value_that_does_not_fit_float16_is_refused(tmp_path: Path) -> None:
    records = write_source(tmp_path, big=np.asarray([1.0, 70000.0], np.float32))
    tensor = StoredTensor(name="big", dtype="float16", shape=(2,), fill=Rows(sources=(records["big"],)))
    with pytest.raises(CheckpointError, match="big: 70000 does not fit float16; export this family in another type"):
        write_weights(tmp_path, with_offsets([tensor]), tmp_path, "out.bin", lambda _: None)
    assert not (tmp_path / "out.bin").exists()


def test_a_source_type_that_is_no_float_is_refused(tmp_path: Path) -> None:
    records = write_source(tmp_path, ids=np.asarray([1, 2], np.int32))
    tensor = StoredTensor(name="ids", dtype="float32", shape=(2,), fill=Rows(sources=(records["ids"],)))
    with pytest.raises(CheckpointError, match="tensor ids is I32; graphs are made from F64, F32, F16, BF16"):
        write_weights(tmp_path, with_offsets([tensor]), tmp_path, "out.bin", lambda _: None)


def test_a_source_that_got_shorter_is_noticed(tmp_path: Path) -> None:
    records = write_source(tmp_path, one=np.ones((4, 4), np.float32))
    tensor = StoredTensor(name="one", dtype="float32", shape=(4, 4), fill=Rows(sources=(records["one"],)))
    with (tmp_path / "model.safetensors").open("r+b") as stream:
        stream.truncate(records["one"].end - 8)
    with pytest.raises(SourceChangedError, match="ends inside tensor one"):
        write_weights(tmp_path, with_offsets([tensor]), tmp_path, "out.bin", lambda _: None)


@given(st.sampled_from([8, 4]), st.sampled_from([16, 32, 64]), st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_quantised_values_are_within_a_step_of_the_original(bits: int, group: int, seed: int, scale: float) -> None:
    rows = (np.random.default_rng(seed).standard_normal((3, 64)) * scale).astype(np.float32)
    how = Quantisation(bits=bits, group_size=group)
    packed, scales = packed_codes(rows, how), group_scales(rows, how)
    assert packed.shape == (3, 64 * bits // 8)
    assert scales.shape == (3, 64 // group)
    back = dequantise(packed, scales, how)
    assert (np.abs(back - rows).reshape(3, -1, group).max(-1) <= 1.001 * np.abs(scales)).all()


def test_a_group_of_zeros_stays_zero() -> None:
    rows, how = np.zeros((1, 32), np.float32), Quantisation(bits=4, group_size=32)
    np.testing.assert_array_equal(dequantise(packed_codes(rows, how), group_scales(rows, how), how), rows)


def test_widths_without_a_group_size_are_refused_with_their_tensor() -> None:
    assert [group_size(width, 8, tensor="x") for width in (2048, 64, 96, 48)] == [128, 64, 32, 16]
    assert [group_size(width, 4, tensor="x") for width in (2048, 64, 96, 48)] == [32, 32, 32, 16]
    with pytest.raises(
        PlanError,
        match=r"model\.w: rows of 40 values cannot be quantised in groups; the width must be a multiple of 16",
    ):
        group_size(40, 4, tensor="model.w")


def test_an_unknown_dtype_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PlanError, match='unknown dtype "float8"; there are float32, float16, bfloat16, int8, int4'):
        find_precision("float8")
    assert [find_precision(precision.name) for precision in PRECISIONS] == list(PRECISIONS)
    assert [precision.name for precision in PRECISIONS if precision.bits is not None] == list(PACKED)
