"""The writer of weights files: any pieces give the same bytes, and only a whole, durable file has its name."""

import hashlib
import os
from pathlib import Path

import pytest

from exporter.weights.aligned_file import AlignedBuffer
from exporter.weights.shard_layout import ALIGNMENT
from exporter.weights.weights_file import WeightsFile, WrittenFile

DATA = os.urandom(3 * ALIGNMENT + 17)


def filled(data: bytes) -> AlignedBuffer:
    buffer = AlignedBuffer(len(data))
    buffer.view[: len(data)] = data
    return buffer


@pytest.mark.parametrize("piece", [1000, ALIGNMENT, len(DATA)])
def test_pieces_of_any_length_give_the_file_and_its_digest(tmp_path: Path, piece: int) -> None:
    with WeightsFile(tmp_path / "file", AlignedBuffer(ALIGNMENT)) as file:
        for begin in range(0, len(DATA), piece):
            assert file.position == begin
            file.write(DATA[begin : begin + piece])
        written = file.finish()
    assert (tmp_path / "file").read_bytes() == DATA
    assert written == WrittenFile(size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())


@pytest.mark.parametrize("buffer_bytes", [ALIGNMENT, 4 * ALIGNMENT])
def test_whole_pages_after_copied_bytes_end_wherever_the_data_does(tmp_path: Path, buffer_bytes: int) -> None:
    with WeightsFile(tmp_path / "file", AlignedBuffer(buffer_bytes)) as file:
        file.write(DATA[:ALIGNMENT])
        file.write_pages(filled(DATA[ALIGNMENT : 2 * ALIGNMENT]).view, ALIGNMENT)
        file.write_pages(filled(DATA[2 * ALIGNMENT :]).view, ALIGNMENT + 17)
        assert file.position == len(DATA)
        written = file.finish()
    assert (tmp_path / "file").read_bytes() == DATA
    assert written.sha256 == hashlib.sha256(DATA).hexdigest()


def test_a_file_that_is_not_finished_has_another_name_and_an_earlier_one_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with WeightsFile(tmp_path / "file", AlignedBuffer(ALIGNMENT)) as file:
        file.write(DATA)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "file.part"]


def test_errors_name_the_final_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    for name in ("pwrite", "fsync"):
        with monkeypatch.context() as patch, WeightsFile(tmp_path / "file", AlignedBuffer(ALIGNMENT)) as file:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match="No space left") as caught:
                file.write(DATA)
                file.finish()
            assert caught.value.filename == str(tmp_path / "file")
