"""Variants composed of graphs of blocks: those that were never exported, and several in one batch."""

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.graphs.graph_form import GraphExport
from runtime.documents.manifest import read_manifest
from runtime.engines.onnx.composing.composed import Span, spans
from runtime.engines.onnx.engine import OnnxEngine
from runtime.engines.protocol import Prompt
from runtime.engines.settings import EngineSettings
from runtime.errors import DocumentError, VerificationError
from tests.support.families import export_verified, plan_family
from tests.support.graph_edits import attribute, edit_graph
from tests.support.graph_families import reference_logits, write_graph_model
from tests.support.tiny_transformers import masked_original

BLOCKS, TOP_KS, TOGETHER = 6, (4, 2, 1), 8
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A family of all six blocks with three numbers of experts, and its source in memory."""
    folder = tmp_path_factory.mktemp("composed")
    model = write_graph_model(folder / "source", "olmoe", num_hidden_layers=BLOCKS)
    plan = plan_family(folder / "source", removals=((),), top_ks=TOP_KS, graphs=("float32",))
    export_verified(plan, folder / "family", graphs=GraphExport(plan))
    return folder / "family", model


def opened(family: Path, threads: int = 1) -> OnnxEngine:
    return OnnxEngine(family, read_manifest(family), EngineSettings(threads=threads))


def check_never_exported(family: Path, model: Any, count: int) -> None:
    """So many random variants, some in each batch, a prompt and four tokens each, against the masked original."""
    rng, engine = np.random.default_rng(0), opened(family, threads=4)  # two ranges of four rows
    for first in range(0, count, TOGETHER):
        chosen = {}
        for number in range(first, first + TOGETHER):
            layers = (0, *sorted(rng.permutation(np.arange(1, BLOCKS))[: int(rng.integers(1, BLOCKS))].tolist()))
            top_k = (4, *(TOP_KS[k] for k in rng.integers(0, 3, len(layers) - 1)))
            chosen[f"never-{number}"] = masked_original(deepcopy(model), layers, top_k)
            engine.compose(f"never-{number}", layers=layers, top_k=top_k)
        rows = {name: rng.integers(2, 100, int(rng.integers(3, 9))).tolist() for name in chosen}
        prompts = [Prompt(variant=name, arrays={"input_ids": np.asarray(ids)}) for name, ids in rows.items()]
        batch = engine.prefill(prompts, max_new_tokens=5)
        for _ in range(5):
            for logits, (name, ids) in zip(batch.logits, rows.items(), strict=True):
                expected = reference_logits(chosen[name], ids)[-1]
                np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
                assert logits.argmax() == expected.argmax()
                ids.append(int(logits.argmax()))
            batch.decode([ids[-1] for ids in rows.values()])
        for name in chosen:
            engine.unload(name)
    engine.close()


def test_variants_that_were_never_exported_are_the_masked_original(exported: tuple[Path, Any]) -> None:
    check_never_exported(*exported, 8)


@pytest.mark.slow
def test_two_hundred_variants_that_were_never_exported_are_the_masked_original(exported: tuple[Path, Any]) -> None:
    check_never_exported(*exported, 200)


def test_what_cannot_be_composed_is_refused_by_name(exported: tuple[Path, Any]) -> None:
    engine = opened(exported[0])
    with pytest.raises(DocumentError, match=r"no graphs block-00-k2, block-03-k3: the family uses no such blocks"):
        engine.compose("other", layers=(0, 1, 3), top_k=(2, 1, 3))
    with pytest.raises(DocumentError, match="there is a variant 'b6-k4' already"):
        engine.compose("b6-k4", layers=(0, 1), top_k=(4, 4))
    with pytest.raises(DocumentError, match="no variant 'other' in this family"):
        engine.load("other")
    engine.close()


def test_blocks_that_were_changed_are_found_when_a_second_variant_is_loaded(
    exported: tuple[Path, Any], tmp_path: Path
) -> None:
    shutil.copytree(exported[0], tmp_path / "family")
    edit_graph(tmp_path / "family" / "onnx" / "float32" / "block-02-k1.onnx", attribute("layers.0/experts", "k", 3))
    engine = opened(tmp_path / "family")
    engine.load("b6-k4")
    with pytest.raises(VerificationError, match=r"block-02-k1\.onnx: its sha256 is "):
        engine.load("b6-k1")
    with pytest.raises(VerificationError, match=r"block-02-k1\.onnx: its sha256 is "):
        engine.compose("other", layers=(0, 2), top_k=(4, 1))
    engine.close()


def test_blocks_that_compute_something_else_fail_the_self_test(exported: tuple[Path, Any], tmp_path: Path) -> None:
    """As if the kernel of such small graphs were wrong: the digests are those of the changed file."""
    shutil.copytree(exported[0], tmp_path / "family")
    path = tmp_path / "family" / "onnx" / "float32" / "block-02-k1.onnx"
    shutil.copyfile(path.parent / "block-03-k1.onnx", path)
    engine = opened(tmp_path / "family")
    engine._checks._files = {}
    engine.load("b6-k4")
    with pytest.raises(VerificationError, match=r"variant b6-k1 .* composed of graphs of blocks it answers otherwise"):
        engine.load("b6-k1")
    engine.close()


def test_blocks_are_opened_for_several_variants_and_dropped_with_them(exported: tuple[Path, Any]) -> None:
    engine = opened(exported[0])
    engine.load("b6-k4")
    assert not engine._blocks._sessions
    engine.load("b6-k1")
    assert {name for name, _ in engine._blocks._sessions} >= {"block-05-k4", "block-05-k1", "head"}
    engine.unload("b6-k1")
    assert {name for name, _ in engine._blocks._sessions if "k1" in name} == set()
    engine.unload("b6-k4")
    assert not engine._blocks._sessions
    engine.close()


def test_neighbours_that_keep_a_block_with_the_same_experts_run_it_together() -> None:
    large, cut, small = {0: "a", 1: "b8", 2: "c8"}, {0: "a", 2: "c8"}, {0: "a", 1: "b2", 2: "c2"}
    assert spans([large, large, cut, small]) == (
        Span(block=0, name="a", first=0, last=4),
        Span(block=1, name="b8", first=0, last=2),
        Span(block=1, name="b2", first=3, last=4),
        Span(block=2, name="c8", first=0, last=3),
        Span(block=2, name="c2", first=3, last=4),
    )
    assert spans([{}, small]) == tuple(Span(block=block, name=name, first=1, last=2) for block, name in small.items())
