"""Streaming copies: bytes, headers, digests, and what is refused on the way. Also the layout and the comparison with
the source."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from exporter.checkpoint.checkpoint import TensorRecord, open_checkpoint
from exporter.checkpoint.chunks import split_into_chunks
from exporter.checkpoint.reader import SourceReader
from exporter.plan.plan import Plan, PlannedShard, PlannedTensor
from exporter.weights import aligned_file
from exporter.weights.aligned_file import AlignedBuffer, open_unbuffered, read_at, write_at
from exporter.weights.pipeline import Pipeline, make_pipeline
from exporter.weights.shard_check import compare_with_source
from exporter.weights.shard_layout import ALIGNMENT, group_by_data, shard_header
from exporter.weights.shard_writer import write_shards
from exporter.weights.weights_file import WeightsFile
from runtime.documents.tensor_digests import ShardDigests, dump_tensor_digests, read_tensor_digests
from runtime.errors import DocumentError, SourceChangedError, VerificationError
from tests.support.families import bare_source, plan_family


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with ThreadPoolExecutor(4) as pool:
        yield make_pipeline(pool)


def ignore(_: int) -> None:
    pass


def write_all(plan: Plan, folder: Path, pipeline: Pipeline) -> dict[str, ShardDigests]:
    (folder / "weights").mkdir(parents=True)
    with SourceReader(plan.checkpoint) as reader:
        return {
            r.path: r
            for group in group_by_data(plan.shards)
            for r in write_shards(group, reader, folder, pipeline, ignore)
        }


def compare_all(plan: Plan, folder: Path, pipeline: Pipeline, written: dict[str, ShardDigests]) -> None:
    with SourceReader(plan.checkpoint) as reader:
        for group in group_by_data(plan.shards):
            compare_with_source(group, [written[s.path] for s in group], reader, folder, pipeline, ignore)


@pytest.mark.parametrize("shards", [1, 3])
def test_written_shards_hold_the_sources_tensors_under_their_new_names(
    tmp_path: Path, pipeline: Pipeline, shards: int
) -> None:
    plan = plan_family(bare_source(tmp_path / "source", shards=shards))
    source = {k: v for file in plan.checkpoint.files for k, v in load_file(tmp_path / "source" / file.name).items()}
    records = write_all(plan, tmp_path / "out", pipeline)
    for shard in plan.shards:
        path = tmp_path / "out" / shard.path
        found = load_file(path)
        assert {t.name for t in shard.tensors} == found.keys()
        for tensor in shard.tensors:
            assert found[tensor.name].tobytes() == source[tensor.source.name].tobytes()
        record = records[shard.path]
        assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert record.size == path.stat().st_size
        for digest in record.tensors:
            assert digest.sha256 == hashlib.sha256(path.read_bytes()[digest.begin : digest.end]).hexdigest()
            assert digest.sha256 == hashlib.sha256(source[digest.source].tobytes()).hexdigest()
    compare_all(plan, tmp_path / "out", pipeline, records)


def test_a_tensor_longer_than_a_chunk_is_copied_whole(tmp_path: Path, pipeline: Pipeline) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    assert max(t.source.bytes for s in plan.shards for t in s.tensors) > 0
    small = make_pipeline(pipeline.pool, ALIGNMENT)
    records = write_all(plan, tmp_path / "out", small)
    for path, record in records.items():
        assert record.sha256 == hashlib.sha256((tmp_path / "out" / path).read_bytes()).hexdigest()
    compare_all(plan, tmp_path / "out", small, records)


def test_the_header_is_valid_and_data_begins_at_a_page() -> None:
    source = TensorRecord(name="a", dtype="BF16", shape=(3, 5), file="f", begin=100, end=130)
    header = shard_header(PlannedShard(path="w", block=0, layer=0, tensors=(PlannedTensor(source=source, name="ü"),)))
    assert len(header) % ALIGNMENT == 0
    assert int.from_bytes(header[:8], "little") == len(header) - 8
    document = json.loads(header[8:])
    assert document == {
        "__metadata__": {"format": "pt"},
        "ü": {"dtype": "BF16", "shape": [3, 5], "data_offsets": [0, 30]},
    }


def test_chunks_cover_all_bytes_once_and_join_adjoining_reads() -> None:
    tensors = [
        TensorRecord(name="a", dtype="U8", shape=(5,), file="f", begin=10, end=15),
        TensorRecord(name="b", dtype="U8", shape=(7,), file="f", begin=15, end=22),
        TensorRecord(name="empty", dtype="U8", shape=(0,), file="f", begin=22, end=22),
        TensorRecord(name="c", dtype="U8", shape=(2,), file="g", begin=22, end=24),
    ]
    chunks = list(split_into_chunks(tensors, 8))
    assert [(c.begin, c.size) for c in chunks] == [(0, 8), (8, 6)]
    assert [(r.file, r.offset, r.begin, r.end) for r in chunks[0].reads] == [("f", 10, 0, 8)]
    assert [(r.file, r.offset, r.begin, r.end) for r in chunks[1].reads] == [("f", 18, 0, 4), ("g", 22, 4, 6)]
    assert [(p.index, p.begin, p.end) for c in chunks for p in c.parts] == [(0, 0, 5), (1, 5, 8), (1, 0, 4), (3, 4, 6)]


def test_sub_byte_and_unusual_dtypes_are_copied_as_they_are(tmp_path: Path, pipeline: Pipeline) -> None:
    source = bare_source(tmp_path / "source")
    tensors = {k: v.astype(np.float16) for k, v in load_file(source / "model.safetensors").items()}
    tensors["model.norm.weight"] = np.arange(16, dtype=np.uint8)
    save_file(tensors, source / "model.safetensors")
    plan = plan_family(source)
    write_all(plan, tmp_path / "out", pipeline)
    non_block = load_file(tmp_path / "out" / "weights" / "non-block.safetensors")
    assert non_block["model.norm.weight"].dtype == np.uint8
    assert non_block["lm_head.weight"].tobytes() == tensors["lm_head.weight"].tobytes()


def test_a_flipped_byte_is_named_with_file_tensor_and_range(tmp_path: Path, pipeline: Pipeline) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    records = write_all(plan, tmp_path / "out", pipeline)
    shard = plan.shards[2]
    victim = records[shard.path].tensors[3]
    path = tmp_path / "out" / shard.path
    data = bytearray(path.read_bytes())
    data[victim.begin + 5] ^= 1
    data[victim.begin + 9] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        VerificationError,
        match=rf"{shard.path}: tensor {victim.name}: bytes {victim.begin + 5}–{victim.begin + 10} of the file differ",
    ):
        compare_all(plan, tmp_path / "out", pipeline, records)


def test_a_damaged_header_and_a_short_file_are_named(tmp_path: Path, pipeline: Pipeline) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    records = write_all(plan, tmp_path / "out", pipeline)
    path = tmp_path / "out" / plan.shards[0].path
    good = path.read_bytes()
    path.write_bytes(good[:20] + b"?" + good[21:])
    with pytest.raises(VerificationError, match=r"the header \(bytes 0–4096\) is not what was written"):
        compare_all(plan, tmp_path / "out", pipeline, records)
    path.write_bytes(good[:-1])
    with pytest.raises(VerificationError, match=f"{len(good) - 1} bytes on disk, {len(good)} planned"):
        compare_all(plan, tmp_path / "out", pipeline, records)


def flip(path: Path, offset: int) -> None:
    """Change one byte of a file and put its times back."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    with path.open("r+b") as stream:
        stream.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_source_tensor_that_changed_after_copying_is_noticed_by_its_digest(
    tmp_path: Path, pipeline: Pipeline
) -> None:
    source = bare_source(tmp_path / "source")
    plan = plan_family(source)
    records = write_all(plan, tmp_path / "out", pipeline)
    shard = next(s for s in plan.shards if s.block is None)
    flip(source / "model.safetensors", shard.tensors[0].source.begin)
    flip(tmp_path / "out" / shard.path, records[shard.path].tensors[0].begin)
    with pytest.raises(
        SourceChangedError, match=f"source tensor {shard.tensors[0].source.name}: no longer the bytes that were copied"
    ):
        compare_all(plan, tmp_path / "out", pipeline, records)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes, was"),
        (lambda path: path.unlink(), "has gone since planning"),
        (lambda path: os.utime(path, ns=(1, 1)), "it was written to after planning"),
        (
            lambda path: (path.rename(path.with_name("old")), path.write_bytes(path.with_name("old").read_bytes())),
            "it is another file",
        ),
    ],
    ids=["grown", "deleted", "touched", "replaced"],
)
def test_a_changed_source_file_is_named_with_what_changed(tmp_path: Path, change: object, message: str) -> None:
    source = bare_source(tmp_path / "source")
    checkpoint = open_checkpoint(source)
    assert callable(change)
    with SourceReader(checkpoint) as reader:
        reader.check()
        change(source / "model.safetensors")
        with pytest.raises(SourceChangedError, match=message) as caught:
            reader.check()
    assert str(source / "model.safetensors") in str(caught.value)


def test_a_source_truncated_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source")
    plan = plan_family(source)
    chunks = list(split_into_chunks([t.source for t in plan.shards[-1].tensors], 1 << 20))
    buffer = AlignedBuffer(1 << 20)
    with SourceReader(plan.checkpoint) as reader:
        reader.read(chunks[0], buffer.view)
        os.truncate(source / "model.safetensors", 5000)
        with pytest.raises(
            SourceChangedError,
            match=r"model\.safetensors: changed while it was read: ends at byte 5000, was [0-9]+ bytes when planned",
        ):
            reader.read(chunks[0], buffer.view)


def test_a_failing_write_leaves_only_part_files(
    tmp_path: Path, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    real = os.pwrite

    def full(descriptor: int, data: memoryview, offset: int) -> int:
        if offset > 0:
            raise OSError(28, "No space left on device")
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match=r"No space left on device: .*block-.*\.safetensors'"):
        write_all(plan, tmp_path / "out", pipeline)
    assert {path.suffix for path in (tmp_path / "out" / "weights").iterdir()} == {".part"}


def test_a_file_system_without_unbuffered_access_is_written_through_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write, real_read, refused = os.pwrite, os.preadv, []

    def picky_write(descriptor: int, data: memoryview, offset: int) -> int:
        if not refused:
            refused.append(True)
            raise OSError(22, "Invalid argument")
        return real_write(descriptor, data, offset)

    def short_read(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        return real_read(descriptor, [buffers[0][:ALIGNMENT]], offset)

    monkeypatch.setattr(os, "pwrite", picky_write)
    monkeypatch.setattr(os, "preadv", short_read)
    buffer = AlignedBuffer(2 * ALIGNMENT)
    buffer.view[:] = os.urandom(2 * ALIGNMENT)
    descriptor = open_unbuffered(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        write_at(descriptor, buffer.view, 0)
        again = AlignedBuffer(2 * ALIGNMENT)
        assert read_at(descriptor, again.view, 0) == 2 * ALIGNMENT
    finally:
        os.close(descriptor)
    assert refused
    assert again.same(buffer, 0, 2 * ALIGNMENT)


def test_opening_falls_back_where_the_file_system_refuses_unbuffered_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def picky(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & aligned_file._DIRECT:
            raise OSError(22, "Invalid argument")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", picky)
    with WeightsFile(tmp_path / "file", AlignedBuffer(ALIGNMENT)) as file:
        file.write(b"x" * 5000)
        assert file.finish().size == 5000
    assert (tmp_path / "file").read_bytes() == b"x" * 5000


@pytest.mark.parametrize("flips", [(0,), (4095,), (7, 99, 4000), (2048, 2049)])
def test_the_differing_range_of_two_buffers_is_exact(flips: tuple[int, ...]) -> None:
    one, two = AlignedBuffer(4096), AlignedBuffer(4096)
    for position in flips:
        two.view[position] = 1
    assert one.difference(two, 0, 4096) == (min(flips), max(flips) + 1)
    assert one.difference(one, 0, 4096) is None


def test_tensor_digests_round_trip_and_refuse_what_is_wrong(tmp_path: Path, pipeline: Pipeline) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    records = tuple(write_all(plan, tmp_path / "out", pipeline).values())
    path = tmp_path / "tensors.json"
    path.write_bytes(dump_tensor_digests(records))
    assert read_tensor_digests(tmp_path) == records
    assert records[0].tensor_at(0) is None
    assert records[0].tensor_at(records[0].tensors[1].begin) == records[0].tensors[1]
    good = json.loads(path.read_text("utf-8"))
    for change, message in (
        ({"format": "other"}, "expected 'trimoe.tensors'"),
        ({"version": 2}, "this trimoe reads version 1, the file has 2"),
        ({"shards": [good["shards"][0]] * 2}, "two entries have the same path"),
        ({"shards": [{**good["shards"][0], "size": 10}]}, r"shards\[0\]\.tensors\[0\]: bytes .* within 10"),
        ({"shards": [{**good["shards"][0], "path": "../x"}]}, "not a plain relative path"),
        ({"shards": [{**good["shards"][0], "sha256": "0"}]}, "64 lower-case hexadecimal digits"),
    ):
        path.write_text(json.dumps({**good, **change}), "utf-8")
        with pytest.raises(DocumentError, match=message):
            read_tensor_digests(tmp_path)
