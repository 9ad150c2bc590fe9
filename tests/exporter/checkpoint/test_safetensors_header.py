"""The strict header reader: what it reads, what it refuses, and that nothing makes it crash."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from exporter.checkpoint.safetensors_header import DTYPE_BITS, parse_header, read_header, read_source_file
from runtime.errors import CheckpointError
from tests.support.checkpoint_files import entry, raw_file


def test_a_file_written_by_safetensors_is_read_with_absolute_offsets(tmp_path: Path) -> None:
    arrays = {
        "b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a": np.arange(4, dtype=np.int16),
        "e": np.zeros((0, 3), np.float64),
    }
    path = tmp_path / "x.safetensors"
    save_file(arrays, path, metadata={"format": "pt"})
    tensors, digest, metadata = read_header(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert metadata == {"format": "pt"}
    assert digest == hashlib.sha256(data[: 8 + length]).hexdigest()
    assert {t.name for t in tensors} == set(arrays)
    for tensor in tensors:
        array = arrays[tensor.name]
        assert (tensor.shape, tensor.bytes, tensor.parameters, tensor.file) == (
            array.shape,
            array.nbytes,
            array.size,
            "x.safetensors",
        )
        assert data[tensor.begin : tensor.end] == array.tobytes()


def test_the_state_of_the_file_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw_file({"a": entry(0, 3)}, b"abc"))
    source, _, _ = read_source_file(path)
    status = path.stat()
    assert (source.name, source.size, source.mtime_ns, source.inode) == (
        path.name,
        status.st_size,
        status.st_mtime_ns,
        status.st_ino,
    )


def test_a_header_padded_with_spaces_and_empty_tensors_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(
        raw_file(json.dumps({"a": entry(0, 0), "b": entry(0, 2), "c": entry(2, 2)}).encode() + b"   ", b"xy")
    )
    assert [t.name for t in read_header(path)[0]] == ["a", "b", "c"]


def test_a_scalar_and_sub_byte_types_are_counted_in_whole_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    header = {
        "s": entry(0, 8, dtype="F64", shape=[]),
        "f": entry(8, 9, dtype="F4", shape=[2]),
        "g": entry(9, 12, dtype="F6_E2M3", shape=[4]),
    }
    path.write_bytes(raw_file(header, bytes(12)))
    assert [t.parameters for t in read_header(path)[0]] == [1, 2, 4]


REFUSED: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "0 bytes are too few"),
    "seven bytes": (b"1234567", "7 bytes are too few"),
    "a header longer than the limit": (raw_file({}, length=200_000_000), "the limit is 100000000"),
    "a header longer than the file": (raw_file({}, length=500), "but the file ends at 10"),
    "an empty header": (raw_file(b""), "does not begin with an opening brace"),
    "leading spaces": (raw_file(b" {}"), "does not begin with an opening brace"),
    "a list": (raw_file([]), "does not begin with an opening brace"),
    "no JSON": (raw_file(b"{nope}"), "line 1 column 2"),
    "no UTF-8": (raw_file(b'{"\xff": 1}'), "byte 2: not UTF-8"),
    "nesting without end": (raw_file(b'{"a":' * 100_000), "nested too deeply"),
    "the same name twice": (raw_file(b'{"a": {}, "a": {}}'), '"a" occurs twice'),
    "metadata that is no text": (raw_file({"__metadata__": {"a": 1}}), '__metadata__["a"]: expected a string'),
    "an entry that is no object": (raw_file({"a": 3}), '["a"]: expected an object'),
    "an unknown key": (raw_file({"a": entry(0, 1) | {"extra": 1}}, b"x"), 'the key "extra" is unknown'),
    "no dtype": (raw_file({"a": {"shape": [], "data_offsets": [0, 0]}}), '["a"]: the key "dtype" is missing'),
    "an unknown dtype": (raw_file({"a": entry(0, 1, dtype="F7")}, b"x"), '["a"].dtype: unknown dtype "F7"'),
    "a dtype that is no text": (raw_file({"a": entry(0, 1, dtype=8)}, b"x"), '["a"].dtype: expected a string'),
    "a negative size": (raw_file({"a": entry(0, 1, shape=[-1])}, b"x"), '["a"].shape[0]: -1 is below'),
    "a fractional size": (raw_file({"a": entry(0, 1, shape=[1.0])}, b"x"), '["a"].shape[0]: expected an integer'),
    "true as a size": (
        raw_file({"a": entry(0, 1, shape=[True])}, b"x"),
        '["a"].shape[0]: expected an integer, found true',
    ),
    "one offset": (
        raw_file({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0]}}, b"x"),
        "data_offsets: expected begin and end",
    ),
    "a range that runs backwards": (raw_file({"a": entry(2, 1, shape=[1])}, b"xx"), "ends at 1, before it begins at 2"),
    "a range of the wrong length": (
        raw_file({"a": entry(0, 3, dtype="F16", shape=[1])}, b"xxx"),
        "takes 2 bytes, data_offsets [0, 3] span 3",
    ),
    "a half byte": (
        raw_file({"a": entry(0, 1, dtype="F4", shape=[1])}, b"x"),
        "1 elements of 4 bits do not fill whole bytes",
    ),
    "overlapping tensors": (raw_file({"a": entry(0, 2), "b": entry(1, 3)}, b"xyz"), 'tensor "b": begins at byte'),
    "a hole": (
        raw_file({"a": entry(0, 1), "b": entry(2, 3)}, b"xyz"),
        'between tensor "a" and tensor "b" belong to no tensor',
    ),
    "a hole at the start": (
        raw_file({"a": entry(1, 2)}, b"xy"),
        'between the header and tensor "a" belong to no tensor',
    ),
    "bytes after the last tensor": (raw_file({"a": entry(0, 1)}, b"xy"), 'after tensor "a" belong to no tensor'),
    "a truncated file": (raw_file({"a": entry(0, 4)}, b"xy"), 'tensor "a": ends at byte'),
    "a shape beyond all bounds": (raw_file({"a": entry(0, 1, shape=[2**62] * 4)}, b"x"), "takes"),
    "digits beyond all bounds": (raw_file(b'{"a": ' + b"9" * 5000 + b"}"), "header"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_header_is_refused_with_file_and_place(case: str, tmp_path: Path) -> None:
    data, phrase = REFUSED[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_header(path)
    assert phrase in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_header(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_header(tmp_path)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_read_but_never_crash(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    for content in (data, len(data).to_bytes(8, "little") + data, raw_file(b"{" + data)):
        path.write_bytes(content)
        _read_or_refuse(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from([*DTYPE_BITS, "F33"]) | JSON,
        "shape": st.lists(st.integers(-2, 5), max_size=3) | JSON,
        "data_offsets": st.lists(st.integers(-2, 20), min_size=1, max_size=3) | JSON,
    },
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=4) | st.just("__metadata__"), ENTRY | JSON, max_size=4), st.integers(0, 40))
def test_mutated_headers_are_refused_or_describe_every_byte_once(header: dict[str, Any], size: int) -> None:
    text = json.dumps(header).encode()
    try:
        tensors, _ = parse_header(text, path=Path("x.safetensors"), file_size=8 + len(text) + size)
    except CheckpointError as error:
        assert "x.safetensors" in str(error)
    else:
        covered = [byte for tensor in tensors for byte in range(tensor.begin, tensor.end)]
        assert sorted(covered) == list(range(8 + len(text), 8 + len(text) + size))


def _read_or_refuse(path: Path) -> None:
    try:
        read_header(path)
    except CheckpointError as error:
        assert str(path) in str(error)
