"""The decision log: what is written is read back, files rotate, and a crash costs the last line at most."""

import json
import logging
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.errors import DocumentError, TargetError
from runtime.serving.decisions.log import DecisionLog
from runtime.serving.decisions.log_file import LogFile
from runtime.serving.decisions.read_log import LogReader
from tests.support.decision_logs import decisions, header, write_log

SOME = decisions(12)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    reader = LogReader(write_log(tmp_path / "log", SOME))
    assert reader.header == header()
    assert list(reader) == list(SOME)
    assert not reader.torn
    assert any(one.refused for one in SOME) and any(one.outcome for one in SOME)


def test_a_log_is_continued(tmp_path: Path) -> None:
    write_log(tmp_path / "log", SOME[:5])
    assert list(LogReader(write_log(tmp_path / "log", SOME[5:]))) == list(SOME)


def test_full_files_are_numbered_and_the_oldest_go(tmp_path: Path) -> None:
    line = len(write_log(tmp_path / "one", SOME[:1]).read_bytes())
    write_log(tmp_path / "log", SOME, rotate_bytes=3 * line, keep=2)
    assert sorted(path.name for path in tmp_path.glob("log*")) == ["log", "log.1", "log.2"]
    kept = [one for name in ("log.2", "log.1", "log") for one in LogReader(tmp_path / name)]
    assert kept == list(SOME)[-len(kept) :]
    assert 3 < len(kept) < len(SOME)


@pytest.mark.parametrize("cut", [1, 40, 4000])
def test_a_line_that_was_cut_off_is_left_out_and_removed_by_the_next_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    path = write_log(tmp_path / "log", SOME[:3])
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    with caplog.at_level(logging.WARNING):
        reader = LogReader(path)
        whole = list(reader)
    assert whole == list(SOME)[: len(whole)] and len(whole) < 3
    assert reader.torn and f"{path}:{len(whole) + 2}: the last line was cut off" in caplog.text
    assert list(LogReader(write_log(path, SOME[3:4]))) == [*whole, SOME[3]]


def test_a_log_whose_head_was_cut_off_begins_again(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b'{"format": "trim')
    assert list(LogReader(write_log(tmp_path / "log", SOME[:1]))) == [SOME[0]]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda line: line.replace('"time"', '"tyme"'), 'the key "tyme" is unknown'),
        (lambda line: line.replace('"text_tokens":', '"text_tokens":-'), r"work\.text_tokens: -\d+ is below"),
        (lambda line: line.replace('"chosen":', '"chosen":9'), "chosen is 9.*, there are 40 candidates"),
        (lambda line: "{" + line, "line 1 column 2: Expecting property name"),
        (lambda line: "[]", "expected an object, found a list of 0"),
    ],
)
def test_a_wrong_line_is_refused_by_file_and_line(tmp_path: Path, edit, message: str) -> None:
    path = write_log(tmp_path / "log", [one for one in SOME if one.chosen is not None][:3])
    lines = path.read_text("utf-8").splitlines()
    lines[2] = edit(lines[2])
    path.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(DocumentError, match=rf"log:3: .*{message}"):
        list(LogReader(path))


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ({"format": "other", "version": 1}, "this is not a decision log of trimoe"),
        ({"format": "trimoe.decisions", "version": 2}, "this trimoe reads version 1"),
        ({"format": "trimoe.decisions", "version": 1}, 'the key "trimoe" is missing'),
    ],
)
def test_another_file_is_no_log(tmp_path: Path, first: dict[str, object], message: str) -> None:
    (tmp_path / "log").write_text(json.dumps(first) + "\n", "utf-8")
    with pytest.raises(DocumentError, match=message):
        LogReader(tmp_path / "log")
    with pytest.raises(DocumentError, match="cannot be read: No such file"):
        LogReader(tmp_path / "none")


def test_a_log_has_one_writer(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log", header())
    with pytest.raises(TargetError, match="log: cannot be written: Resource temporarily unavailable"):
        DecisionLog(tmp_path / "log", header())
    log.close()
    with pytest.raises(TargetError, match="No such file"):
        DecisionLog(tmp_path / "none" / "log", header())


def test_lines_that_cannot_be_written_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = DecisionLog(tmp_path / "log", header())
    log.close()
    for one in SOME[:3]:
        log.write(one)
    assert log.lost == 3
    assert caplog.text.count("a decision cannot be written") == 1


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk:
        """Takes half of each line."""

        def __init__(self, stream: object) -> None:
            self.stream = stream

        def write(self, line: bytes) -> int:
            return self.stream.write(line[: len(line) // 2])

        def __getattr__(self, name: str) -> object:
            return getattr(self.stream, name)

    log = DecisionLog(tmp_path / "log", header())
    log.write(SOME[0])
    with monkeypatch.context() as patched:
        patched.setattr(log, "_stream", FullDisk(log._stream))
        log.write(SOME[1])
    log.write(SOME[2])
    log.close()
    assert log.lost == 1
    assert list(LogReader(tmp_path / "log")) == [SOME[0], SOME[2]]


def test_a_family_that_follows_another_begins_a_file_of_its_own_while_the_first_one_ends(tmp_path: Path) -> None:
    file, other = LogFile(tmp_path / "log"), replace(header(), digest="1" * 64)
    first = file.open(header())
    first.write(SOME[0])
    unused = file.open(other)  # a family that was loaded, and then refused
    unused.close()
    first.write(SOME[1])
    second = file.open(other)
    first.write(SOME[2])
    second.write(SOME[3])
    first.write(SOME[4])
    first.close()
    second.write(SOME[5])
    second.close()
    assert (first.lost, second.lost) == (0, 0)
    old, new = LogReader(tmp_path / "log.1"), LogReader(tmp_path / "log")
    assert (old.header, list(old)) == (header(), [*SOME[:3], SOME[4]])
    assert (new.header, list(new)) == (other, [SOME[3], SOME[5]])


def test_the_same_family_loaded_again_continues_the_file(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log")
    first, second = file.open(header()), file.open(header())
    first.write(SOME[0])
    first.close()
    second.write(SOME[1])
    second.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert list(LogReader(tmp_path / "log")) == [SOME[0], SOME[1]]


def test_a_file_of_another_family_is_numbered(tmp_path: Path) -> None:
    write_log(tmp_path / "log", SOME[:2])
    DecisionLog(tmp_path / "log", replace(header(), digest="1" * 64)).close()
    assert list(LogReader(tmp_path / "log.1")) == list(SOME[:2])
    assert LogReader(tmp_path / "log").header.digest == "1" * 64
