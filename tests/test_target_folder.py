"""Which targets are refused, and the renames that publish a folder."""

import ctypes
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.target_folder import check_space, check_target, exchange, make_parent, publish, target_error
from runtime.errors import TargetError


def folder(path: Path, *files: str) -> Path:
    path.mkdir(parents=True)
    for name in files:
        (path / name).write_text(name, "utf-8")
    return path


def test_links_files_and_the_sources_own_tree_are_refused(tmp_path: Path) -> None:
    source = folder(tmp_path / "models" / "source", "config.json")
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "file").write_text("x", "utf-8")
    for target, message in (
        (tmp_path / "link", f"a symbolic link to {source}"),
        (tmp_path / "file", "exists and is not a folder"),
        (source, "the same folder as the source"),
        (source / "family", f"inside the source {source}"),
        (tmp_path / "link" / "family", f"inside the source {source}"),
        (tmp_path / "models", f"contains the source {source}"),
        (Path("/proc"), "a mount point"),
        (Path("/"), "not a folder that can be created"),
        (Path("some/.."), "not a folder that can be created"),
    ):
        with pytest.raises(TargetError, match=message) as caught:
            check_target(target, source)
        assert str(target) in str(caught.value)
    check_target(tmp_path / "models" / "family", source)


def test_missing_parents_are_created_and_a_file_among_them_is_an_error(tmp_path: Path) -> None:
    make_parent(tmp_path / "a" / "b" / "family")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(TargetError, match=f"{tmp_path}/file.*cannot be written: .*"):
        make_parent(tmp_path / "file" / "b" / "family")


@pytest.mark.parametrize(("flag", "message"), [(os.ST_RDONLY, "a read-only file system"), (0, "not writable for this user")])
def test_a_parent_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: int, message: str) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flag))
    with pytest.raises(TargetError, match=f"{tmp_path}: {message}"):
        make_parent(tmp_path / "family")


def test_too_little_space_is_refused_with_needed_and_free_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=5000, f_frsize=4096))
    check_space(tmp_path, 1_000_000)
    with pytest.raises(TargetError, match="not enough space: 26,777,216 bytes needed, 20,480,000 free"):
        check_space(tmp_path, 10_000_000)


def test_system_errors_name_path_reason_and_space(tmp_path: Path) -> None:
    full = str(target_error(OSError(errno.ENOSPC, "No space left on device"), tmp_path, 1234))
    assert full.startswith(f"{tmp_path}: no space left: 1,234 bytes needed, ")
    assert str(target_error(OSError(errno.EROFS, "Read-only file system", "/x/y"), tmp_path)) == "/x/y: cannot be written: Read-only file system"


def test_publishing_over_an_empty_folder_works_and_over_a_full_one_does_not(tmp_path: Path) -> None:
    publish(folder(tmp_path / "staged", "new"), folder(tmp_path / "target"))
    assert [p.name for p in (tmp_path / "target").iterdir()] == ["new"]
    with pytest.raises(OSError, match="not empty"):
        publish(folder(tmp_path / "staged", "newer"), tmp_path / "target")


@pytest.mark.parametrize("has_exchange", [True, False])
def test_exchanging_puts_the_new_folder_in_place_and_keeps_the_old_one_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_exchange: bool
) -> None:
    if not has_exchange:
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace())
    staged, target = folder(tmp_path / "staged", "new"), folder(tmp_path / "target", "old")
    exchange(staged, target)
    assert [p.name for p in target.iterdir()] == ["new"]
    assert [p.name for p in staged.iterdir()] == ["old"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["staged", "target"]


def test_a_name_that_is_too_long_is_a_target_error(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="xxx: cannot be read: File name too long"):
        check_target(tmp_path / ("x" * 300), None)


def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "lstat", forbidden)
    with pytest.raises(TargetError, match=f"{tmp_path}/x/y: cannot be read: Permission denied"):
        check_target(tmp_path / "x" / "y", None)
