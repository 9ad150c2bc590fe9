"""Which targets are refused, and the renames that publish a folder."""

import ctypes
import errno
import os
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.family.disk_space import check_space, target_error
from exporter.family.rename import exchange, publish
from exporter.family.target_folder import check_target, make_parent
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


def test_nothing_is_written_into_a_family_or_a_variant_copied_out(tmp_path: Path) -> None:
    family = folder(tmp_path / "family", "manifest.json", "tensors.json")
    folder(family / "variants" / "b5-k2", "config.json")
    copied = folder(tmp_path / "copied", "config.json")
    folder(copied / "trimoe", "manifest.json", "tensors.json")
    (tmp_path / "link").symlink_to(family / "variants")
    for target, place in (
        (family / "new", f"the family {family}"),
        (family / "variants" / "new", f"the family {family}"),
        (family / "variants" / "b5-k2" / "new" / "deep", f"the family {family}"),
        (tmp_path / "link" / "new", f"the family {family}"),
        (copied / "new", f"the standalone variant {copied}"),
        (copied / "trimoe", f"the standalone variant {copied}"),
    ):
        for source in (None, tmp_path / "source"):
            with pytest.raises(TargetError, match=f"{target}: inside {place}, which nothing is added to"):
                check_target(target, source)
    check_target(family, None)
    (tmp_path / "site" / "new").mkdir(parents=True)
    (tmp_path / "site" / "manifest.json").write_text("{}", "utf-8")  # a web site's
    check_target(tmp_path / "site" / "new", None)


def test_missing_parents_are_created(tmp_path: Path) -> None:
    check_target(tmp_path / "a" / "b" / "family", None)
    make_parent(tmp_path / "a" / "b" / "family")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_and_a_dead_link_among_the_parents_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    (tmp_path / "link").symlink_to("nowhere")
    for name, message in (
        ("file", "a file, so {} cannot be created"),
        ("link", "a symbolic link to nowhere, which is not there, so {}"),
    ):
        for target in (tmp_path / name / "family", tmp_path / name / "b" / "family"):
            with pytest.raises(TargetError) as caught:
                check_target(target, None)
            assert str(caught.value).startswith(f"{tmp_path}/{name}: {message.format(target)}")


def test_a_file_that_appears_among_the_parents_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(TargetError, match=f"{tmp_path}/file.*cannot be written: .*"):
        make_parent(tmp_path / "file" / "b" / "family")


@pytest.mark.parametrize(
    ("flag", "message"), [(os.ST_RDONLY, "a read-only file system"), (0, "not writable for this user")]
)
def test_a_parent_that_may_not_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: int, message: str
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flag))
    with pytest.raises(TargetError, match=f"{tmp_path}: {message}"):
        make_parent(tmp_path / "family")


def test_too_little_space_is_refused_with_needed_and_free_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=5000, f_frsize=4096))
    check_space(tmp_path, 1_000_000)
    with pytest.raises(TargetError, match="not enough space: 26,777,216 bytes needed, 20,480,000 free"):
        check_space(tmp_path, 10_000_000)


FULL = OSError(errno.ENOSPC, "No space left on device")


def with_file_system(monkeypatch: pytest.MonkeyPatch, *, free: int, files: int = 0, free_files: int = 0) -> None:
    status = SimpleNamespace(f_bavail=free, f_frsize=1, f_files=files, f_favail=free_files)
    monkeypatch.setattr(os, "statvfs", lambda _: status)


@pytest.mark.parametrize(("files", "free_files"), [(0, 0), (100, 7)])
def test_a_full_disk_names_path_needed_and_free_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, free_files: int
) -> None:
    with_file_system(monkeypatch, free=1000, files=files, free_files=free_files)
    assert str(target_error(FULL, tmp_path, 1234)) == f"{tmp_path}: no space left: 1,234 bytes needed, 1,000 free"
    assert str(target_error(FULL, tmp_path)) == f"{tmp_path}: no space left"


def test_a_file_system_without_free_inodes_is_not_said_to_lack_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_file_system(monkeypatch, free=5000, files=100)
    said = "no inodes left: the file system holds 100 files and folders at most; remove some there"
    assert str(target_error(FULL, tmp_path / "not" / "there", 1234)) == f"{tmp_path}/not/there: {said}"


def test_a_full_disk_with_free_bytes_says_so_without_contradicting_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_file_system(monkeypatch, free=5000)
    assert str(target_error(FULL, tmp_path, 1234)).endswith(
        "no space left: 1,234 bytes needed, although the file system counts 5,000 as free"
    )


def test_a_quota_and_a_limit_of_the_file_size_do_not_name_free_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota = OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path / "x"))
    assert str(target_error(quota, tmp_path, 1234)) == f"{tmp_path}/x: the disk quota is used up: 1,234 bytes needed"
    large = OSError(errno.EFBIG, "File too large")
    for limit, said in (
        (2048, "the file size limit is reached: 2,048 bytes (ulimit -f)"),
        (resource.RLIM_INFINITY, "the file size limit is reached"),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        assert str(target_error(large, tmp_path, 1234)) == f"{tmp_path}: {said}"


def test_other_system_errors_name_path_and_reason(tmp_path: Path) -> None:
    assert (
        str(target_error(OSError(errno.EROFS, "Read-only file system", "/x/y"), tmp_path))
        == "/x/y: cannot be written: Read-only file system"
    )


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
