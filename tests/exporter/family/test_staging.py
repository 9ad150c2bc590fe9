"""The staging folder: one writer at a time, a journal that survives being cut off, and what is kept for a resumed
export."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.family.staging import Staging, staging_path
from runtime.documents.tensor_digests import ShardDigests, TensorDigest
from runtime.errors import TargetError


def record(name: str, size: int = 10) -> ShardDigests:
    tensor = TensorDigest(name="a", source="b", begin=4, end=size, sha256="0" * 64)
    return ShardDigests(path=f"weights/{name}", size=size, sha256="1" * 64, tensors=(tensor,))


def stage(target: Path, identity: str, *names: str) -> None:
    """Leave a staging folder as an export killed after these shards does."""
    with Staging(target) as staging:
        staging.resume(identity)
        (staging.family / "weights").mkdir(exist_ok=True)
        for name in names:
            (staging.family / "weights" / name).write_bytes(b"x" * 10)
            staging.record(record(name))


def test_finished_shards_of_the_same_plan_are_kept_and_the_rest_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "family"
    stage(target, "plan", "one", "two")
    family = staging_path(target) / "family"
    (family / "weights" / "three.part").write_bytes(b"half")
    (family / "variants").mkdir()
    (family / "tensors.json").write_bytes(b"{}")
    with Staging(target) as staging:
        assert staging.resume("plan") == {"weights/one": record("one"), "weights/two": record("two")}
        assert staging.kept == {"weights/one", "weights/two"}
        assert not staging.discarded
    assert {p.relative_to(family).as_posix() for p in family.rglob("*")} == {"weights", "weights/one", "weights/two"}


def test_another_plans_shards_are_discarded_and_it_is_said(tmp_path: Path) -> None:
    target = tmp_path / "family"
    stage(target, "plan", "one")
    with Staging(target) as staging:
        assert staging.resume("other") == {}
        assert staging.discarded
        assert not any(staging.family.iterdir())


@pytest.mark.parametrize("size", [0, 9, 11])
def test_a_shard_of_another_size_than_recorded_is_not_kept(tmp_path: Path, size: int) -> None:
    target = tmp_path / "family"
    stage(target, "plan", "one", "two")
    (staging_path(target) / "family" / "weights" / "one").write_bytes(b"x" * size)
    with Staging(target) as staging:
        assert list(staging.resume("plan")) == ["weights/two"]
        assert not (staging.family / "weights" / "one").exists()


def test_a_journal_cut_at_any_byte_keeps_the_whole_lines_before_the_cut(tmp_path: Path) -> None:
    target = tmp_path / "family"
    stage(target, "plan", "one", "two")
    journal = staging_path(target) / "journal.jsonl"
    data = journal.read_bytes()
    ends = [i for i, byte in enumerate(data) if byte == ord("\n")]
    for cut in (0, 5, ends[0], ends[0] + 3, ends[1] - 1, ends[1] + 1, ends[2] - 1):
        (staging_path(target) / "family" / "weights").mkdir(exist_ok=True)
        for name in ("one", "two"):
            (staging_path(target) / "family" / "weights" / name).write_bytes(b"x" * 10)
        journal.write_bytes(data[:cut])
        with Staging(target) as staging:
            kept = len(staging.resume("plan"))
        assert kept == max(0, sum(end <= cut for end in ends) - 1)


def test_a_changed_journal_line_is_not_believed(tmp_path: Path) -> None:
    target = tmp_path / "family"
    stage(target, "plan", "one")
    journal = staging_path(target) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"size":10', b'"size":11'))
    with Staging(target) as staging:
        assert staging.resume("plan") == {}


def test_a_second_writer_is_refused_and_told_the_first_ones_process(tmp_path: Path) -> None:
    target = tmp_path / "family"
    with (
        Staging(target),
        pytest.raises(TargetError, match=f"another export to it is running \\(process {os.getpid()}\\)"),
        Staging(target),
    ):
        pass
    with Staging(target) as staging:
        staging.resume("plan")


def test_the_lock_of_a_killed_writer_does_not_stay(tmp_path: Path) -> None:
    code = "import os, signal, sys; from pathlib import Path; from exporter.family.staging import Staging\n"
    code += "with Staging(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "family")], check=False)
    assert (staging_path(tmp_path / "family") / "lock").exists()
    with Staging(tmp_path / "family") as staging:
        staging.resume("plan")


def test_removing_leaves_nothing_beside_the_target(tmp_path: Path) -> None:
    with Staging(tmp_path / "family") as staging:
        staging.resume("plan")
        staging.remove()
    assert list(tmp_path.iterdir()) == []


def test_an_error_before_the_first_shard_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="full"), Staging(tmp_path / "family") as staging:
        staging.resume("plan")
        raise TargetError("full")
    assert list(tmp_path.iterdir()) == []


def test_an_error_after_a_shard_keeps_it_and_says_how_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as caught, Staging(tmp_path / "family") as staging:
        staging.resume("plan")
        (staging.family / "weights").mkdir(exist_ok=True)
        (staging.family / "weights" / "one").write_bytes(b"x" * 10)
        staging.record(record("one"))
        raise TargetError("full")
    path = staging_path(tmp_path / "family")
    assert path.is_dir()
    assert caught.value.__notes__ == [
        f"1 finished files stay in {path}: run the same command again to resume, or delete that folder"
    ]


def test_a_forgotten_journal_keeps_nothing(tmp_path: Path) -> None:
    target = tmp_path / "family"
    stage(target, "plan", "one")
    with Staging(target) as staging:
        staging.resume("plan")
        staging.forget()
    with Staging(target) as staging:
        assert staging.resume("plan") == {}


def test_a_parent_that_cannot_be_written_is_a_target_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TargetError, match="cannot be written"), Staging(tmp_path / "file" / "family"):
        pass


def link_to_a_folder(path: Path) -> Path:
    victim = path.parent / "victim"
    victim.mkdir()
    (victim / "keep").write_text("x", "utf-8")
    path.symlink_to(victim)
    return victim / "keep"


def file(path: Path) -> Path:
    path.write_text("x", "utf-8")
    return path


def own_folder_with_a_foreign_file(path: Path) -> Path:
    stage(path.parent / "family", "plan", "one")
    return file(path / "notes.txt")


def folder_named_family_without_a_lock(path: Path) -> Path:
    (path / "family").mkdir(parents=True)
    return file(path / "family" / "keep")


def folder_with_a_linked_lock(path: Path) -> Path:
    path.mkdir()
    (path / "lock").symlink_to(file(path.parent / "elsewhere"))
    return path.parent / "elsewhere"


@pytest.mark.parametrize(
    "make",
    [
        link_to_a_folder,
        file,
        own_folder_with_a_foreign_file,
        folder_named_family_without_a_lock,
        folder_with_a_linked_lock,
    ],
)
def test_what_no_export_put_there_is_refused_and_kept(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    kept = make(staging_path(tmp_path / "family"))
    with (
        pytest.raises(TargetError, match=r"\.family\.staging: (stands where|holds '.*', which no export put there)"),
        Staging(tmp_path / "family"),
    ):
        pass
    assert kept.read_text("utf-8") == "x"


def test_a_foreign_file_that_appears_later_is_never_deleted(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="full"), Staging(tmp_path / "family") as staging:
        kept = file(staging.path / "notes.txt")
        staging.resume("plan")
        raise TargetError("full")
    assert kept.exists()


def test_a_family_taken_aside_by_a_killed_exchange_comes_back(tmp_path: Path) -> None:
    target = tmp_path / "family"
    stage(target, "plan", "one")
    aside = staging_path(target) / "family.old"
    aside.mkdir()
    (aside / "manifest.json").write_text("old", "utf-8")
    with Staging(target) as staging:
        assert (target / "manifest.json").read_text("utf-8") == "old"
        staging.resume("plan")
        staging.remove()
    assert [p.name for p in tmp_path.iterdir()] == ["family"]


def test_a_replaced_family_is_removed_when_the_new_one_is_in_place(tmp_path: Path) -> None:
    target = tmp_path / "family"
    stage(target, "plan", "one")
    (staging_path(target) / "family.old").mkdir()
    target.mkdir()
    with Staging(target) as staging:
        staging.resume("plan")
        assert not (staging.path / "family.old").exists()
