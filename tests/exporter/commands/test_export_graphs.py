"""`trimoe export --format safetensors,onnx` and `trimoe verify` on what it writes."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from exporter.graphs.weights.write_data import write_weights
from exporter.plan.formats import GRAPH_LAYOUT
from exporter.verify.family_graphs import verify_graphs
from runtime.documents.check import Check
from runtime.documents.family_digest import family_digest
from runtime.documents.manifest import read_manifest
from tests.support.commands import WITH_GRAPHS, export_with_graphs, trimoe
from tests.support.graph_families import write_graph_source


def export_arguments(folder: Path) -> tuple[str | Path, ...]:
    """The export of a source that has no experts, in `folder`, with graphs and without answers."""
    return ("export", folder / "source", "--out", folder / "family", "--remove", "2", "--no-logits", *WITH_GRAPHS)


def verified(family: Path, *, answers: bool) -> list[Check]:
    """The checks of all graphs of a family."""
    manifest = read_manifest(family)
    return list(
        verify_graphs(
            folder=family, manifest=manifest, variants=manifest.variants, answers=answers, progress=lambda _: None
        )
    )


def test_a_text_family_is_exported_in_three_types_and_verified_again(tmp_path: Path) -> None:
    write_graph_source(tmp_path / "source", "olmoe")
    result = export_with_graphs(tmp_path / "source", tmp_path / "family", dtype="float32,int4,bfloat16")
    assert result.exit_code == 0, result.output
    manifest = read_manifest(tmp_path / "family")
    found = {check.name: check.outcome for check in manifest.variants[0].checks if check.name.startswith("onnx")}
    passed = ("structure", "logits", "greedy", "experts", "self-test")
    expected = {f"onnx {kind} {name}": "passed" for kind in ("float32", "int4", "bfloat16") for name in passed}
    assert found == expected | {"onnx bfloat16 self-test": "skipped", "onnx int4 served": "passed"}
    again = verified(tmp_path / "family", answers=True)
    assert {check.name: check.outcome for check in again} == found
    assert all(check.outcome != "failed" for check in again)


def test_molmoe_is_exported_with_vision_and_embeddings_once(tmp_path: Path) -> None:
    write_graph_source(tmp_path / "source", "molmoe")
    result = export_with_graphs(tmp_path / "source", tmp_path / "family")
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "family" / "onnx" / "float32").iterdir())
    blocks = [name for name in names if name.startswith("block-")]
    assert len(blocks) == 5 and sorted({*names} - {*blocks}) == [
        "b3-k2.onnx",
        "embeddings.onnx",
        "head.onnx",
        "vision.onnx",
        "weights.float32.bin",
    ]
    metadata = {entry.key: entry.value for entry in _graph(tmp_path / "family", "b3-k2").metadata_props}
    assert metadata["trimoe.variant"] == "b3-k2"
    manifest = read_manifest(tmp_path / "family")
    assert metadata["trimoe.family_digest"] == family_digest(manifest.files, manifest.variants)
    assert metadata["trimoe.removed_blocks"] == "2"
    assert metadata["trimoe.source_digest"] == manifest.source.digest
    again = verified(tmp_path / "family", answers=True)
    assert [check.outcome for check in again] == ["passed"] * 5


def _graph(family: Path, name: str) -> Any:
    return onnx.load(str(family / "onnx" / "float32" / f"{name}.onnx"), load_external_data=False)


def test_the_same_export_again_writes_nothing_and_other_types_are_refused(tmp_path: Path) -> None:
    write_graph_source(tmp_path / "source", "llama")
    arguments = export_arguments(tmp_path)
    assert trimoe(*arguments).exit_code == 0
    before = (tmp_path / "family" / "manifest.json").stat().st_mtime_ns
    assert trimoe(*arguments).exit_code == 0
    assert (tmp_path / "family" / "manifest.json").stat().st_mtime_ns == before
    refused = trimoe(*arguments, "--dtype", "float16")
    assert refused.exit_code == 1
    assert "holds this family with ONNX graphs: float32; asked for: float16; give --replace" in refused.output


def test_a_killed_export_keeps_its_data_file_and_notices_when_it_was_damaged(tmp_path: Path, monkeypatch: Any) -> None:
    write_graph_source(tmp_path / "source", "llama")
    arguments = export_arguments(tmp_path)
    calls: list[str] = []

    def stop(*values: Any) -> Any:
        calls.append(values[3])
        if calls[-1].startswith("onnx/int8"):
            raise KeyboardInterrupt
        return write_weights(*values)

    monkeypatch.setattr("exporter.graphs.write_graphs.write_weights", stop)
    assert trimoe(*arguments, "--dtype", "float32,int8").exit_code == 1
    staged = tmp_path / ".family.staging" / "family" / "onnx" / "float32" / "weights.float32.bin"
    inode = staged.stat().st_ino
    monkeypatch.undo()
    assert trimoe(*arguments, "--dtype", "float32,int8").exit_code == 0
    final = tmp_path / "family" / "onnx" / "float32" / "weights.float32.bin"
    assert final.stat().st_ino == inode
    assert calls == ["onnx/float32/weights.float32.bin", "onnx/int8/weights.int8.bin"]


def test_an_export_resumed_with_another_layout_of_the_graphs_weights_writes_them_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_graph_source(tmp_path / "source", "llama")
    arguments = export_arguments(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("exporter.graphs.graph_form.write_graphs", interrupt)
        assert trimoe(*arguments).exit_code == 1
    staged = tmp_path / ".family.staging" / "family" / "onnx" / "float32" / "weights.float32.bin"
    other = bytes(reversed(staged.read_bytes()))  # as a trimoe with another layout would have written it
    staged.write_bytes(other)
    with monkeypatch.context() as patch:
        patch.setattr("exporter.graphs.graph_form.same_digest", lambda *_: True)
        patch.setattr("exporter.plan.make_plan.GRAPH_LAYOUT", GRAPH_LAYOUT + 1)
        result = trimoe(*arguments)
    assert result.exit_code == 0, result.output
    assert "an interrupted export of another plan was discarded" in result.output
    assert (tmp_path / "family" / "onnx" / "float32" / "weights.float32.bin").read_bytes() == bytes(reversed(other))


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_verify_names_the_graph_that_was_changed(tmp_path: Path) -> None:
    write_graph_source(tmp_path / "source", "olmoe")
    assert export_with_graphs(tmp_path / "source", tmp_path / "family", "--no-logits").exit_code == 0
    path = tmp_path / "family" / "onnx" / "float32" / "b3-k2.onnx"
    model = _graph(tmp_path / "family", "b3-k2")
    node = next(node for node in model.graph.node if node.name == "layers.2/experts")
    next(attribute for attribute in node.attribute if attribute.name == "k").i = 4
    path.write_bytes(model.SerializeToString())
    checks = verified(tmp_path / "family", answers=False)
    assert [check.outcome for check in checks] == ["failed"]
    assert "layers.2: 4 experts per token, planned are 2" in checks[0].detail
    report = json.loads(trimoe("verify", tmp_path / "family", "--no-logits", "--json").output)
    assert "b3-k2.onnx" in json.dumps(report)


def test_a_dry_run_says_what_the_graphs_add_and_refuses_what_has_none(tmp_path: Path) -> None:
    write_graph_source(tmp_path / "source", "llama")
    arguments = (
        "export",
        tmp_path / "source",
        "--remove",
        "2",
        "--dry-run",
        "--format",
        "safetensors,onnx",
        "--dtype",
        "float32,int8",
    )
    result = trimoe(*arguments)
    assert result.exit_code == 0, result.output
    assert "ONNX graphs of every variant in float32, int8: " in result.output
    assert json.loads(trimoe(*arguments, "--json").output)["onnx"]["dtypes"] == ["float32", "int8"]
    write_graph_source(tmp_path / "odd", "llama", intermediate_size=45)
    refused = trimoe("export", tmp_path / "odd", *arguments[2:])
    assert refused.exit_code == 1 and "the width must be a multiple of 16" in refused.output


def test_a_graph_of_another_variant_is_told_by_its_metadata(tmp_path: Path) -> None:
    write_graph_source(tmp_path / "source", "llama")
    assert trimoe(*export_arguments(tmp_path), "--remove", "1").exit_code == 0
    manifest = read_manifest(tmp_path / "family")
    first, second = (tmp_path / "family" / "onnx" / "float32" / f"{variant.id}.onnx" for variant in manifest.variants)
    first.unlink()
    first.write_bytes(second.read_bytes())
    checks = verified(tmp_path / "family", answers=False)
    failed = [check.detail for check in checks if check.outcome == "failed"]
    assert len(failed) == 1 and f"metadata trimoe.variant is '{manifest.variants[1].id}'" in failed[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dtype", "int8"), "--dtype is the type of ONNX weights: give --format safetensors,onnx too"),
        (("--format", "onnx"), "--format onnx: there are safetensors, and safetensors,onnx"),
        (
            ("--format", "safetensors,onnx", "--dtype", "float8"),
            'unknown dtype "float8"; there are float32, float16, bfloat16, int8, int4',
        ),
    ],
)
def test_formats_and_types_that_do_not_exist_are_refused(
    options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    write_graph_source(tmp_path / "source", "llama")
    result = trimoe("export", tmp_path / "source", "--out", tmp_path / "family", "--remove", "2", *options)
    assert result.exit_code != 0
    assert message in result.output
