"""The export as a transaction: what it publishes, resumes, leaves alone, replaces and refuses."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from exporter.export import staged_weights
from exporter.export.transaction import export_family
from exporter.family.staging import staging_path
from exporter.plan.formats import GraphFormat
from runtime.documents.check import Check
from runtime.documents.manifest import read_manifest
from runtime.documents.tensor_digests import read_tensor_digests
from runtime.errors import CheckpointError, SourceChangedError, TargetError, VerificationError
from runtime.text.progress import NoProgress
from tests.support.families import REMOVALS, bare_source, digests, export_plan, plan_family


class Stopper:
    """Progress that raises after a number of steps, like a user's Ctrl-C or a failing disk at that moment."""

    def __init__(self, after: int, error: BaseException) -> None:
        self.after = after
        self.error = error
        self.phases: list[str] = []

    def begin(self, phase: str, total_bytes: int) -> None:
        self.phases.append(phase)
        self.advance(0)

    def advance(self, count: int) -> None:
        self.after -= 1
        if self.after == 0:
            raise self.error

    def end(self) -> None:
        self.phases.append("end")


@dataclass(frozen=True)
class Passed:
    golden: str
    checks: tuple[Check, ...] = (Check(name="logits", outcome="passed", detail="equal"),)


def check_nothing(*, checkpoint: Any, plan: Any, folder: Path, progress: Callable[[int], None]) -> dict[str, Passed]:
    """A logit check that finds nothing and writes golden files."""
    (folder / "golden").mkdir()
    for variant in plan.variants:
        (folder / "golden" / f"{variant.id}.safetensors").write_bytes(variant.id.encode())
    progress(1)
    return {variant.id: Passed(golden=f"golden/{variant.id}.safetensors") for variant in plan.variants}


def test_the_manifest_lists_every_file_with_its_digest(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    result = export_plan(plan, tmp_path / "family")
    manifest = read_manifest(tmp_path / "family")
    assert manifest == result.manifest
    found = digests(tmp_path / "family")
    del found["manifest.json"]
    assert {record.path: record.sha256 for record in manifest.files} == found
    for record in manifest.files:
        path = tmp_path / "family" / record.path
        assert path.stat().st_size == record.size
        assert (path.stat().st_nlink > 1) or record.link_of is None
        if record.link_of is not None:
            assert path.samefile(tmp_path / "family" / record.link_of)
    assert not staging_path(tmp_path / "family").exists()
    assert [v.id for v in manifest.variants] == [v.id for v in plan.variants]
    assert [(c.name, c.outcome) for c in manifest.variants[0].checks] == [
        ("structure", "passed"),
        ("bytes", "passed"),
        ("logits", "skipped"),
    ]
    assert {s.path for s in read_tensor_digests(tmp_path / "family")} == {s.path for s in plan.shards}
    assert not manifest.source.synthetic
    assert (manifest.source.blocks, manifest.source.experts, manifest.source.top_k) == (6, 4, 2)


def test_two_exports_give_the_same_digests(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source", shards=2))
    export_plan(plan, tmp_path / "one")
    export_plan(plan, tmp_path / "deep" / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "deep" / "two")


def test_golden_files_and_logit_checks_are_recorded(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"), removals=((1,),))
    manifest = export_plan(plan, tmp_path / "family", logits=check_nothing).manifest
    assert [v.golden for v in manifest.variants] == ["golden/b5-k2.safetensors", "golden/b5-k1.safetensors"]
    assert manifest.variants[0].checks[-1].outcome == "passed"
    assert "golden/b5-k1.safetensors" in {record.path for record in manifest.files}


@pytest.mark.parametrize("family", ["mixtral", "qwen2_moe", "qwen3_moe", "llama"])
def test_every_family_exports(tmp_path: Path, family: str) -> None:
    source = bare_source(tmp_path / "source", family=family)
    plan = plan_family(source, removals=((), (2,)), top_ks=None if family == "llama" else (2, 1))
    assert len(export_plan(plan, tmp_path / "family").manifest.variants) == (2 if family == "llama" else 4)


@pytest.mark.parametrize(
    ("after", "error"),
    [
        *((after, KeyboardInterrupt()) for after in (1, 2, 5, 8, 11, 14, 17)),
        *((after, OSError(errno.ENOSPC, "No space left")) for after in (6, 15)),
    ],
)
def test_an_export_stopped_anywhere_shows_nothing_and_resumes_to_the_same_digests(
    tmp_path: Path, after: int, error: BaseException
) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    export_plan(plan, tmp_path / "undisturbed")
    expected: type[BaseException] = TargetError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        export_family(plan, tmp_path / "family", logits=None, replace=False, progress=Stopper(after, error))
    assert not (tmp_path / "family").exists()
    if isinstance(error, OSError):
        assert "no space left: " in str(caught.value)
    journal = staging_path(tmp_path / "family") / "journal.jsonl"
    finished = len(journal.read_bytes().splitlines()) - 1 if journal.exists() else 0
    assert bool(getattr(caught.value, "__notes__", ())) == (finished > 0)
    result = export_plan(plan, tmp_path / "family")
    assert result.resumed == finished
    assert digests(tmp_path / "family") == digests(tmp_path / "undisturbed")
    assert not staging_path(tmp_path / "family").exists()


def test_a_resumed_shard_that_was_damaged_meanwhile_is_written_again(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    export_plan(plan, tmp_path / "undisturbed")
    with pytest.raises(KeyboardInterrupt):
        export_family(plan, tmp_path / "family", logits=None, replace=False, progress=Stopper(12, KeyboardInterrupt()))
    weights = sorted((staging_path(tmp_path / "family") / "family" / "weights").glob("*.safetensors"))
    for path in weights[:2]:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    assert export_plan(plan, tmp_path / "family").resumed > 0
    assert digests(tmp_path / "family") == digests(tmp_path / "undisturbed")


def test_damage_in_the_same_run_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    real = staged_weights.write_shards

    def damage(shards: Any, reader: Any, folder: Path, *rest: Any) -> Any:
        records = real(shards, reader, folder, *rest)
        path = folder / records[0].path
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        return records

    monkeypatch.setattr(staged_weights, "write_shards", damage)
    with pytest.raises(VerificationError, match="of the file differ from the source"):
        export_plan(plan, tmp_path / "family")
    assert not (tmp_path / "family").exists()


def test_the_same_export_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    export_plan(plan, tmp_path / "family")
    inode = (tmp_path / "family").stat().st_ino
    staging_path(tmp_path / "family").mkdir()  # left by an export killed after publishing
    assert export_plan(plan, tmp_path / "family").up_to_date
    assert (tmp_path / "family").stat().st_ino == inode
    assert not staging_path(tmp_path / "family").exists()


def test_an_existing_family_gives_way_only_when_asked(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source")
    export_plan(plan_family(source), tmp_path / "family")
    before = digests(tmp_path / "family")
    other = plan_family(source, removals=((2,),))
    with pytest.raises(TargetError, match="holds a family of another plan or source; give --replace"):
        export_plan(other, tmp_path / "family")
    assert digests(tmp_path / "family") == before
    export_plan(other, tmp_path / "family", replace=True)
    export_plan(other, tmp_path / "fresh")
    assert digests(tmp_path / "family") == digests(tmp_path / "fresh")
    assert not staging_path(tmp_path / "family").exists()


def test_other_weights_under_the_same_headers_are_noticed(tmp_path: Path) -> None:
    export_plan(plan_family(bare_source(tmp_path / "source", seed=1)), tmp_path / "family")
    other = plan_family(bare_source(tmp_path / "source", seed=2))
    with pytest.raises(TargetError, match="holds a family cut from other weights; give --replace"):
        export_plan(other, tmp_path / "family")


def test_a_family_exported_without_logit_check_is_not_taken_for_a_checked_one(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    export_plan(plan, tmp_path / "family")
    with pytest.raises(TargetError, match="exported without logit check; give --no-logits, or --replace"):
        export_plan(plan, tmp_path / "family", logits=check_nothing)
    export_plan(plan, tmp_path / "family", logits=check_nothing, replace=True)
    assert export_plan(plan, tmp_path / "family", logits=check_nothing).up_to_date
    assert export_plan(plan, tmp_path / "family").up_to_date


def test_a_damaged_family_is_named_and_replaced_when_asked(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    export_plan(plan, tmp_path / "family")
    good = digests(tmp_path / "family")
    (tmp_path / "family" / "carried" / "tokenizer.json").write_bytes(b"")
    with pytest.raises(
        TargetError, match=r"holds this family, but damaged \(carried/tokenizer.json: 0 bytes, 17 recorded\)"
    ):
        export_plan(plan, tmp_path / "family")
    (tmp_path / "family" / "weights" / "non-block.safetensors").unlink()
    export_plan(plan, tmp_path / "family", replace=True)
    assert digests(tmp_path / "family") == good


def test_replacing_refuses_to_lose_files_that_are_not_the_familys(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source")
    export_plan(plan_family(source), tmp_path / "family")
    (tmp_path / "family" / "variants" / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(TargetError, match=r"variants/notes\.txt does not belong to the family there and would be lost"):
        export_plan(plan_family(source, removals=((2,),)), tmp_path / "family", replace=True)
    assert (tmp_path / "family" / "variants" / "notes.txt").exists()


def test_folders_that_are_no_family_are_never_replaced(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "manifest.json").write_text("{}", "utf-8")
    for replaced in (False, True):
        with pytest.raises(
            TargetError, match=r"photos: holds 'a\.jpg' and no manifest\.json: not a family, so it is not replaced"
        ):
            export_plan(plan, tmp_path / "photos", replace=replaced)
        with pytest.raises(
            TargetError, match=r"odd: holds a family that cannot be read.*the key \"format\" is missing"
        ):
            export_plan(plan, tmp_path / "odd", replace=replaced)
    (tmp_path / "empty").mkdir()
    assert not export_plan(plan, tmp_path / "empty").up_to_date


def test_a_source_that_changes_while_it_is_read_stops_the_export(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source")
    plan = plan_family(source)

    class Toucher(Stopper):
        def advance(self, count: int) -> None:
            os.utime(source / "model.safetensors", ns=(5, 5))

    with pytest.raises(
        SourceChangedError, match=r"model\.safetensors: changed while it was read: it was written to after planning"
    ):
        export_family(plan, tmp_path / "family", logits=None, replace=False, progress=Toucher(0, KeyboardInterrupt()))
    assert not (tmp_path / "family").exists()
    assert export_plan(plan_family(source), tmp_path / "family").resumed == 0


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        pytest.param("config.json", b"{}", "written to after planning", id="config"),
        pytest.param(
            "config.json", None, "No such file or directory; it was there when the export was planned", id="no config"
        ),
        pytest.param("tokenizer.json", b"{}", "written to after planning", id="tokenizer"),
        pytest.param("tokenizer_config.json", b"{", "written to after planning", id="no JSON any more"),
    ],
)
def test_a_small_file_of_the_source_that_changes_meanwhile_stops_the_export(
    tmp_path: Path, name: str, data: bytes | None, said: str
) -> None:
    source = bare_source(tmp_path / "source")
    (source / "tokenizer_config.json").write_text("{}", "utf-8")
    plan = plan_family(source)

    class Editor(Stopper):
        def begin(self, phase: str, total_bytes: int) -> None:
            if phase == "linking":
                (source / name).unlink() if data is None else (source / name).write_bytes(data)

    with pytest.raises(SourceChangedError, match=f"source/{name}: .*{said}"):
        export_family(plan, tmp_path / "family", logits=None, replace=False, progress=Editor(0, KeyboardInterrupt()))
    assert not (tmp_path / "family").exists()


def with_head(source: Path, change: float) -> Path:
    """The source with a config that ties the head, and a head that differs from the embeddings by `change` in its last
    number."""
    path = source / "model.safetensors"
    tensors = load_file(path)
    head = tensors["model.embed_tokens.weight"].copy()
    head[-1, -1] += change
    save_file({**tensors, "lm_head.weight": head}, path, {"format": "pt"})
    return source


def test_a_tied_head_that_differs_from_the_embeddings_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.family.source_guard._CHUNK_BYTES", 1000)
    plan = plan_family(with_head(bare_source(tmp_path / "source", tie_word_embeddings=True), 1.0))
    said = (
        'source/config.json: tie_word_embeddings is true, but the tensors "model.embed_tokens.weight" and '
        '"lm_head.weight" differ; set it to false'
    )
    with pytest.raises(CheckpointError, match=said):
        export_plan(plan, tmp_path / "new" / "family")
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(("tied", "change"), [(True, 0.0), (False, 1.0)])
def test_a_head_that_is_as_the_config_says_is_exported(tmp_path: Path, tied: bool, change: float) -> None:
    plan = plan_family(with_head(bare_source(tmp_path / "source", tie_word_embeddings=tied), change))
    assert export_plan(plan, tmp_path / "family").manifest.variants


def test_leftovers_of_another_plan_are_discarded_and_noted(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source")
    with pytest.raises(KeyboardInterrupt):
        export_family(
            plan_family(source),
            tmp_path / "family",
            logits=None,
            replace=False,
            progress=Stopper(12, KeyboardInterrupt()),
        )
    result = export_plan(plan_family(source, removals=((2,),)), tmp_path / "family")
    assert result.notes == ("an interrupted export of another plan was discarded",)


def test_an_export_that_does_not_fit_is_refused_before_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    monkeypatch.setattr("exporter.family.disk_space.free_bytes", lambda _: 1000)
    with pytest.raises(TargetError, match=r"not enough space: [0-9,]+ bytes needed, 1,000 free"):
        export_plan(plan, tmp_path / "family")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]


def test_a_family_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source")
    export_plan(plan_family(source), tmp_path / "other")

    def appear(**values: Any) -> dict[str, Passed]:
        shutil.copytree(tmp_path / "other", tmp_path / "family")
        return check_nothing(**values)

    with pytest.raises(TargetError, match="not empty"):
        export_plan(plan_family(source, removals=((2,),)), tmp_path / "family", logits=appear)
    assert digests(tmp_path / "family") == digests(tmp_path / "other")


def test_a_failed_logit_check_publishes_nothing(tmp_path: Path) -> None:
    def fail(**_: Any) -> dict[str, Passed]:
        raise VerificationError("variant b5-k2: layer 3 differs")

    with pytest.raises(VerificationError, match="layer 3 differs"):
        export_plan(plan_family(bare_source(tmp_path / "source")), tmp_path / "family", logits=fail)
    assert not (tmp_path / "family").exists()


def test_the_mark_of_a_synthetic_source_reaches_manifest_and_variants(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source", trimoe_synthetic=True)
    manifest = export_plan(plan_family(source), tmp_path / "family").manifest
    assert manifest.source.synthetic
    config = json.loads((tmp_path / "family" / "variants" / "b6-k1" / "config.json").read_text("utf-8"))
    assert config["trimoe_synthetic"] is True


def test_the_identity_of_a_plan_changes_with_all_that_decides_its_bytes(tmp_path: Path) -> None:
    from exporter.family.records import plan_identity

    plan = plan_family(bare_source(tmp_path / "source"))
    identity = plan_identity(plan, {"tokenizer.json": b"1"})
    assert identity == plan_identity(plan_family(tmp_path / "source"), {"tokenizer.json": b"1"})
    os.utime(tmp_path / "source" / "model.safetensors", ns=(7, 7))
    others = [
        plan_identity(plan, {"tokenizer.json": b"2"}),
        plan_identity(plan_family(tmp_path / "source"), {"tokenizer.json": b"1"}),
        plan_identity(plan_family(tmp_path / "source", removals=REMOVALS[:2]), {"tokenizer.json": b"1"}),
        plan_identity(replace(plan, variants=plan.variants[:-1]), {"tokenizer.json": b"1"}),
        plan_identity(replace(plan, graphs=GraphFormat(precisions=("int8",), layout=1)), {"tokenizer.json": b"1"}),
        plan_identity(replace(plan, graphs=GraphFormat(precisions=("int4",), layout=1)), {"tokenizer.json": b"1"}),
        plan_identity(replace(plan, graphs=GraphFormat(precisions=("int4",), layout=2)), {"tokenizer.json": b"1"}),
    ]
    assert len({identity, *others}) == 8


def test_models_that_cannot_be_built_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))

    def unbuildable(*, plan: Any) -> None:
        raise CheckpointError(f"{plan.checkpoint.folder}: cannot be built")

    with pytest.raises(CheckpointError, match="cannot be built"):
        export_family(
            plan,
            tmp_path / "new" / "family",
            logits=check_nothing,
            replace=False,
            progress=NoProgress(),
            buildable=unbuildable,
        )
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_a_tensor_name_that_ends_in_a_newline_stays_as_it_is(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source", blocks=2)
    tensors = load_file(source / "model.safetensors")
    odd = {f"model.layers.{block}.extra\n": np.full(3, block, np.float32) for block in range(2)}
    save_file({**tensors, **odd}, source / "model.safetensors", {"format": "pt"})
    export_plan(plan_family(source, removals=((1,),), top_ks=(2,)), tmp_path / "family")
    written = load_file(tmp_path / "family" / "weights" / "block-00-layer-00.safetensors")
    assert "model.layers.0.extra\n" in written and "model.layers.0.extra" not in written
