"""Files are checked before the first answer, and a record of a check that passed spares it until anything changes."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.documents.manifest import FileRecord, Manifest, read_manifest
from runtime.engines import trust
from runtime.engines.machine import cache_folder, processors
from runtime.engines.trust import CheckRecords, Checks
from runtime.errors import VerificationError


@pytest.fixture
def manifest(bare_family: Path, tmp_path: Path) -> Manifest:
    """That of `bare_family`, with only two of its files."""
    found = read_manifest(bare_family)
    files = sorted(found.files, key=lambda file: file.size)[-2:]
    return replace(found, files=tuple(files))


class Trial:
    """Checks of a copy of a family in processes of their own; counts self-tests."""

    def __init__(self, family: Path, manifest: Manifest, cache: Path | None) -> None:
        self.family, self.manifest, self.cache, self.tests = family, manifest, cache, 0
        self.software = {"onnxruntime": "1.28.0"}

    def run(self, test: Callable[[], None] | None = None) -> int:
        """How many self-tests a new process runs."""
        before = self.tests
        records = None if self.cache is None else CheckRecords(self.cache)
        checks = Checks(self.family, self.manifest, software=self.software, records=records)
        checks.run([file.path for file in self.manifest.files], test or self._count)
        return self.tests - before

    def _count(self) -> None:
        self.tests += 1

    @property
    def file(self) -> FileRecord:
        return self.manifest.files[0]


@pytest.fixture
def trial(bare_family: Path, manifest: Manifest, tmp_path: Path) -> Trial:
    for file in manifest.files:
        path = tmp_path / "family" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(bare_family / file.path, path)
    return Trial(tmp_path / "family", manifest, tmp_path / "cache")


def test_a_check_that_passed_is_not_repeated(trial: Trial) -> None:
    assert [trial.run(), trial.run(), trial.run()] == [1, 0, 0]


def test_without_records_each_process_checks(trial: Trial, tmp_path: Path) -> None:
    trial.cache = None
    assert [trial.run(), trial.run()] == [1, 1]
    assert not (tmp_path / "cache").exists()


def _touched(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(trial.family / trial.file.path, ns=(1, 1))


def _replaced(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trial.family / trial.file.path
    shutil.copy2(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def _upgraded(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.software = {"onnxruntime": "1.29.0"}


def _moved(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "processors", lambda: ("another",))


def _damaged_record(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    for record in trial.cache.glob("checks/*.json") if trial.cache else ():
        record.write_bytes(record.read_bytes()[:-2])


@pytest.mark.parametrize("change", [_touched, _replaced, _upgraded, _moved, _damaged_record])
def test_whatever_changes_is_checked_again_once(
    change: Callable[[Trial, pytest.MonkeyPatch], None], trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.run()
    change(trial, monkeypatch)
    assert [trial.run(), trial.run()] == [1, 0]


def test_a_file_that_differs_from_its_digest_is_refused_before_the_test(trial: Trial) -> None:
    trial.run()
    path = trial.family / trial.file.path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(VerificationError, match=rf"{path}: its sha256 is \w+, the manifest has {trial.file.sha256}"):
        trial.run()
    path.unlink()
    with pytest.raises(VerificationError, match=rf"{path}: No such file"):
        trial.run()
    assert trial.tests == 1


def test_a_byte_that_was_flipped_is_found_though_size_and_time_say_nothing(trial: Trial) -> None:
    trial.run()
    path = trial.family / trial.file.path
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)[0]
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(VerificationError, match=rf"{path}: its sha256 is \w+, the manifest has {trial.file.sha256}"):
        trial.run()


def test_a_file_is_read_once_for_all_tests_that_depend_on_it(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.run()
    monkeypatch.setattr(trust.hashlib, "file_digest", None)
    checks = Checks(trial.family, trial.manifest, software={}, records=CheckRecords(trial.cache))
    checks.run([trial.file.path], trial._count)
    assert trial.tests == 2


def test_a_check_that_fails_leaves_no_record(trial: Trial) -> None:
    def fail() -> None:
        raise VerificationError("wrong")

    with pytest.raises(VerificationError, match="wrong"):
        trial.run(fail)
    assert [trial.run(), trial.run()] == [1, 0]


def test_a_cache_that_cannot_be_written_only_costs_the_check(trial: Trial, tmp_path: Path) -> None:
    trial.cache = tmp_path / "file"
    trial.cache.write_text("taken", "utf-8")
    assert [trial.run(), trial.run()] == [1, 1]


def test_files_that_the_manifest_does_not_list_do_not_count(trial: Trial) -> None:
    Checks(trial.family, trial.manifest, software={}, records=None).run(["onnx/none.onnx"], trial._count)
    assert trial.tests == 1


def test_the_cache_is_where_the_user_keeps_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "trimoe"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/trimoe")


def test_a_machine_says_what_it_computes_with() -> None:
    assert processors() and processors() == processors()
