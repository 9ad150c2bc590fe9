"""`trimoe verify` on graphs: it plans them again from the family, and names what was changed or damaged."""

import shutil
from pathlib import Path

import pytest
import safetensors.numpy
import torch
from msgspec.structs import replace

from exporter.graphs.check.rebuilt_graphs import RebuiltGraphs
from exporter.verify.family_graphs import verify_graphs
from runtime.documents.check import Check
from runtime.documents.family_digest import family_digest
from runtime.documents.golden_outputs import read_graph_golden
from runtime.documents.manifest import read_manifest
from tests.support.commands import WITH_GRAPHS, export_with_graphs, trimoe
from tests.support.graph_edits import Edit, attribute, edit_graph, place, reads
from tests.support.graph_families import CASES, quantisable, write_graph_source

VARIANT = "b3-k2"


@pytest.mark.parametrize("case", [*CASES, "molmoe"])
def test_verify_plans_every_graph_again_and_finds_it(case: str, tmp_path: Path) -> None:
    source = write_graph_source(tmp_path / "source", case, **quantisable(case))
    top_k = () if case == "llama" else ("--top-k", "4,2")
    more = ("--remove", "1,2", "--remove", "3", *top_k, "--no-logits", *WITH_GRAPHS, "--dtype", "float32,int4")
    result = trimoe("export", source, "--out", tmp_path / "family", *more)
    assert result.exit_code == 0, result.output
    checks = verify_structure(tmp_path / "family")
    assert {(check.name, check.outcome) for check in checks if not check.name.endswith("logits")} == {
        ("onnx float32 structure", "passed"),
        ("onnx int4 structure", "passed"),
    }
    assert not [check.detail for check in checks if "not compared" in check.detail]


def verify_structure(family: Path, *, answers: bool = False) -> tuple[Check, ...]:
    manifest = read_manifest(family)
    return verify_graphs(
        folder=family, manifest=manifest, variants=manifest.variants, answers=answers, progress=lambda _: None
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished family with golden outputs."""
    folder = tmp_path_factory.mktemp("exported")
    source = write_graph_source(folder / "source", "molmoe")
    assert export_with_graphs(source, folder / "family").exit_code == 0
    return folder / "family"


@pytest.fixture
def family(exported: Path, tmp_path: Path) -> Path:
    shutil.copytree(exported, tmp_path / "family")
    return tmp_path / "family"


def test_golden_outputs_say_which_family_they_are_of(family: Path) -> None:
    manifest = read_manifest(family)
    golden = read_graph_golden(family / "golden" / "onnx-float32-cpu" / f"{VARIANT}.safetensors")
    assert golden.family_digest == family_digest(manifest.files, manifest.variants)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            attribute("layers.1/experts", "normalize_routing_weights", 1),
            "layers.1/experts: attribute normalize_routing_weights is 1, planned is 0",
        ),
        (place("blocks.1.experts.fc1", "offset", "0"), "tensor "),
        (lambda model: model.graph.initializer.remove(model.graph.initializer[0]), "refused by ONNX's checker"),
    ],
)
def test_verify_names_the_node_or_tensor_that_was_changed(edit: Edit, message: str, family: Path) -> None:
    edit_graph(family / "onnx" / "float32" / f"{VARIANT}.onnx", edit)
    (check,) = verify_structure(family, answers=True)
    assert check.outcome == "failed" and f"{VARIANT}.onnx: {message}" in check.detail


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("block-00-k4", attribute("layers.0/experts", "k", 3), "layers.0/experts: attribute k is 3, planned is 4"),
        ("block-03-k2", place("blocks.3.experts.fc1", "offset", "0"), "tensor "),
        ("head", reads("head", 0, "hidden"), "head: input is "),
    ],
)
def test_verify_names_the_block_graph_that_was_changed(name: str, edit: Edit, message: str, family: Path) -> None:
    edit_graph(family / "onnx" / "float32" / f"{name}.onnx", edit)
    failed = [check.detail for check in verify_structure(family) if check.outcome == "failed"]
    assert len(failed) == 1 and f"{name}.onnx: {message}" in failed[0]


def test_a_family_that_older_versions_wrote_has_no_graphs_of_blocks(family: Path) -> None:
    manifest = read_manifest(family)
    for path in (family / "onnx" / "float32").glob("block-*.onnx"):
        path.unlink()
    (family / "onnx" / "float32" / "head.onnx").unlink()
    kept = tuple(file for file in manifest.files if (family / file.path).exists())
    without = replace(manifest, files=kept)
    checks = verify_graphs(
        folder=family, manifest=without, variants=manifest.variants, answers=False, progress=lambda _: None
    )
    assert "failed" not in {check.outcome for check in checks}


def test_a_graph_of_another_version_is_not_compared_node_by_node(family: Path) -> None:
    edit_graph(
        family / "onnx" / "float32" / f"{VARIANT}.onnx", attribute("layers.1/experts", "normalize_routing_weights", 1)
    )
    manifest = replace(read_manifest(family), trimoe="0.0.1")
    checks = verify_graphs(
        folder=family, manifest=manifest, variants=manifest.variants, answers=False, progress=lambda _: None
    )
    assert checks[0].outcome == "passed"
    assert "not compared node by node: written by trimoe 0.0.1, this is " in checks[0].detail


@pytest.mark.parametrize("name", [f"{VARIANT}.onnx", "embeddings.onnx", "vision.onnx"])
@pytest.mark.parametrize("damage", [b"\x00\x01garbage", b"", None])
def test_a_damaged_graph_is_a_failed_check_and_no_traceback(name: str, damage: bytes | None, family: Path) -> None:
    path = family / "onnx" / "float32" / name
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    failed = [check.detail for check in verify_structure(family, answers=True) if check.outcome == "failed"]
    assert failed and name in failed[0]


def test_golden_prompts_without_a_tensor_are_a_failed_check(family: Path) -> None:
    path = family / "golden" / "onnx-float32-cpu" / "inputs.safetensors"
    tensors = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file({name: value for name, value in tensors.items() if name != "images"}, path)
    assert "inputs.safetensors: the tensors images are missing" in verify_structure(family, answers=True)[-1].detail


def test_embeddings_that_are_not_those_of_transformers_are_a_failed_check(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RebuiltGraphs, "embeddings", lambda self, variant, inputs: torch.zeros(2, 64, 64) + 9.0)
    detail = verify_structure(family, answers=True)[-1].detail
    assert detail.startswith("float32: embeddings of row 0, images included: max |Δ| ")
