"""Both engines on one family: any mixture of variants in a batch, self-tests before the first answer, one copy of the
weights."""

import io
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from exporter.graphs.graph_form import GraphExport
from runtime.documents.golden_outputs import read_arrays
from runtime.documents.manifest import read_manifest
from runtime.engines.greedy import generate
from runtime.engines.onnx.engine import OnnxEngine
from runtime.engines.onnx.rows import part_count
from runtime.engines.prompts import PromptReader, Question
from runtime.engines.protocol import Engine, Prompt
from runtime.engines.settings import EngineSettings
from runtime.engines.torch.engine import TorchEngine
from runtime.errors import DocumentError, VerificationError
from tests.support.families import export_verified, plan_family
from tests.support.tiny_molmoe import write_tiny_molmoe
from tests.support.tiny_tokenizer import write_tiny_processor_files

ENGINES = ("torch", "onnx", "onnx in parts")
NEW_TOKENS = 6


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Variants b4-k4, b4-k1, b3-k4 and b3-k1 of a model that takes images, with graphs and golden outputs."""
    folder = tmp_path_factory.mktemp("engines")
    source = write_tiny_processor_files(write_tiny_molmoe(folder / "source", n_layers=4, n_heads=2))
    plan = plan_family(source, removals=((), (2,)), top_ks=(4, 1), graphs=("float32",))
    export_verified(plan, folder / "family", graphs=GraphExport(plan))
    return folder / "family"


def open_engine(name: str, family: Path) -> Engine:
    manifest = read_manifest(family)
    if name == "torch":
        return TorchEngine(family, manifest, device="cpu")
    return OnnxEngine(family, manifest, EngineSettings(threads=2 if "parts" in name else 1))


def requests(count: int) -> list[Question]:
    """Text of different lengths, with images of different sizes and without."""
    generator, found = np.random.default_rng(1), []
    for index in range(count):
        size = ((24, 24), (48, 20), (20, 60), None)[index % 4]
        pixels = None if size is None else generator.integers(0, 256, (size[1], size[0], 3), np.uint8)
        image = None if pixels is None else Image.open(io.BytesIO(_png(pixels)))
        found.append(Question(text="Say " + "word " * (index % 5), image=image))
    return found


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def prompts(family: Path, variants: Sequence[str], count: int) -> list[Prompt]:
    """Prompts that name the variants in turn."""
    reader = PromptReader(family / "variants" / variants[0])
    return [
        prompt
        for place, request in enumerate(requests(count))
        for prompt in reader.read([request], variant=variants[place % len(variants)])
    ]


def answers(engine: Engine, chosen: Sequence[Prompt]) -> list[list[int]]:
    return generate(engine, chosen, max_new_tokens=NEW_TOKENS, ends=frozenset({0}))


@pytest.mark.parametrize("name", ENGINES)
def test_a_batch_of_two_variants_answers_as_each_alone(name: str, family: Path) -> None:
    engine = open_engine(name, family)
    mixed = prompts(family, ("b4-k4", "b3-k1"), 20)
    found = answers(engine, mixed)
    for variant in ("b4-k4", "b3-k1"):
        places = [place for place, prompt in enumerate(mixed) if prompt.variant == variant]
        alone = answers(engine, [mixed[place] for place in places])
        assert [found[place] for place in places] == alone
        one_by_one = [answers(engine, [mixed[place]])[0] for place in places]
        assert alone == one_by_one
    assert len({tuple(row) for row in found}) > 2
    engine.close()


class Recorder:
    """A clock that notes which stages begin and end, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.told.append(name)
        yield
        self.told.append(f"{name} over")


@pytest.mark.parametrize(
    ("name", "stages"),
    [("torch", ("prefill", "vision", "prefill")), ("onnx", ("vision", "embeddings", "prefill"))],
)
def test_a_clock_is_told_of_the_stages_of_reading(name: str, stages: tuple[str, ...], family: Path) -> None:
    engine, clock = open_engine(name, family), Recorder()
    image, text = prompts(family, ("b4-k4",), 4)[::3]
    sequences = engine.prefill([image], max_new_tokens=2, clock=clock)
    assert sequences.logits.shape[0] == 1
    assert clock.told == [word for stage in stages for word in (stage, f"{stage} over")]
    plain = engine.prefill([image], max_new_tokens=2)
    np.testing.assert_array_equal(sequences.logits, plain.logits)
    clock.told.clear()
    sequences.decode([5])
    assert clock.told == []
    assert engine.prefill([text], max_new_tokens=2, clock=clock).logits.shape[0] == 1
    assert "prefill" in clock.told and not any("vision" in word for word in clock.told)
    engine.close()


@pytest.mark.parametrize("name", ENGINES)
def test_variants_differ_and_their_logits_do_not_mix(name: str, family: Path) -> None:
    engine = open_engine(name, family)
    (request,) = requests(1)
    reader = PromptReader(family / "variants" / "b4-k4")
    variants = ("b4-k4", "b3-k1", "b4-k1")
    same = [reader.read([request], variant=variant)[0] for variant in variants]
    sequences = engine.prefill(same, max_new_tokens=2)
    first = sequences.logits
    sequences.decode([5, 5, 5])
    for row, prompt in enumerate(same):
        alone = engine.prefill([prompt], max_new_tokens=2)
        np.testing.assert_allclose(first[row], alone.logits[0], rtol=0, atol=1e-5)
        alone.decode([5])
        np.testing.assert_allclose(sequences.logits[row], alone.logits[0], rtol=0, atol=1e-5)
    assert np.abs(first[0] - first[1]).max() > 1e-3 and np.abs(first[0] - first[2]).max() > 1e-3
    engine.close()


def test_both_engines_give_the_same_tokens(family: Path) -> None:
    mixed = prompts(family, ("b4-k4", "b3-k1", "b3-k4"), 17)
    found = [answers(open_engine(name, family), mixed) for name in ENGINES]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", ENGINES)
def test_a_sequence_that_is_over_leaves_the_others_as_they_are(name: str, family: Path) -> None:
    engine = open_engine(name, family)
    chosen = prompts(family, ("b4-k4",), 3)
    alone = engine.prefill(chosen[1:2], max_new_tokens=4)
    together = engine.prefill(chosen, max_new_tokens=4)
    for tokens in ([5, 6, None], [None, 7, None], [None, 8, None]):
        together.decode(tokens)
        alone.decode(tokens[1:2])
        np.testing.assert_allclose(together.logits[1], alone.logits[0], rtol=0, atol=1e-5)
    engine.close()


@pytest.mark.parametrize("name", ENGINES)
def test_an_unknown_variant_is_refused(name: str, family: Path) -> None:
    engine = open_engine(name, family)
    with pytest.raises(DocumentError, match="no variant 'b9' in this family; it has b4-k4, b4-k1, b3-k4, b3-k1"):
        engine.load("b9")


@pytest.mark.parametrize("name", ENGINES)
def test_a_variant_can_be_loaded_again_after_it_was_freed(name: str, family: Path) -> None:
    engine = open_engine(name, family)
    chosen = prompts(family, ("b3-k4", "b3-k1"), 2)
    before = answers(engine, chosen)
    engine.unload("b3-k4")
    engine.unload("b3-k4")
    assert answers(engine, chosen) == before and engine.load("b3-k4") == "float32"


def test_variants_in_torch_hold_what_they_have_in_common_once(family: Path) -> None:
    engine = TorchEngine(family, read_manifest(family), device="cpu")
    for variant in ("b4-k4", "b4-k1", "b3-k1"):
        engine.load(variant)
    whole, fewer_experts, fewer_blocks = (
        {parameter.data_ptr(): parameter for parameter in model.parameters()} for model in engine._models.values()
    )
    assert fewer_experts.keys() == whole.keys()
    assert fewer_blocks.keys() < whole.keys()
    blocks = [
        [model.model.transformer.blocks[layer].mlp.experts.down_proj for layer in (0, 1, 2)]
        for model in engine._models.values()
    ]
    originals = list(engine._models["b4-k4"].model.transformer.blocks)
    assert blocks[2][2] is originals[3].mlp.experts.down_proj and blocks[2][2] is not blocks[0][2]


def damaged(family: Path, target: Path, variant: str) -> Path:
    """A copy of the family whose golden logits of a variant are others."""
    shutil.copytree(family, target)
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = target / "golden" / f"{variant}.safetensors"
    tensors, _ = read_arrays(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    path.unlink()
    save_file({**tensors, "logits": tensors["logits"] * 1.01}, path, metadata)
    return target


def test_torch_tests_itself_before_the_first_answer(family: Path, tmp_path: Path) -> None:
    target = damaged(family, tmp_path / "family", "b3-k1")
    manifest = read_manifest(target)
    unlisted = replace(manifest, files=tuple(file for file in manifest.files if "b3-k1" not in file.path))
    engine = TorchEngine(target, unlisted, device="cpu")
    engine.load("b4-k4")
    message = r"variant b3-k1 \(float32\) fails its self-test: max \|Δ\| of the logits is 0\.0099\d? of the largest"
    with pytest.raises(VerificationError, match=message):
        engine.prefill(prompts(family, ("b3-k1",), 1), max_new_tokens=1)


def test_torch_reads_its_files_against_their_digests_first(family: Path, tmp_path: Path) -> None:
    target = damaged(family, tmp_path / "family", "b3-k1")
    engine = open_engine("torch", target)
    engine.load("b4-k4")
    with pytest.raises(VerificationError, match=rf"{target}/golden/b3-k1.safetensors: its sha256 is "):
        engine.load("b3-k1")


def test_torch_says_that_nothing_was_tested_without_golden_outputs(
    family: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = read_manifest(family)
    untested = replace(manifest, variants=tuple(replace(one, golden=None) for one in manifest.variants))
    with caplog.at_level(logging.WARNING):
        TorchEngine(family, untested, device="cpu").load("b3-k1")
    assert "no golden outputs, so it runs without a self-test" in caplog.text


def test_the_graphs_test_themselves_before_the_first_answer(family: Path, tmp_path: Path, monkeypatch: Any) -> None:
    tested: list[tuple[str, bool]] = []
    from runtime.engines.onnx import engine as module

    real = module.self_test

    def watched(graph: Path, *arguments: Any, shared: bool, **options: Any) -> Any:
        tested.append((graph.stem, shared))
        return real(graph, *arguments, shared=shared, **options)

    monkeypatch.setattr(module, "self_test", watched)
    engine = open_engine("onnx", family)
    chosen = prompts(family, ("b3-k4", "b3-k1"), 4)
    answers(engine, chosen)
    answers(engine, chosen)
    assert tested == [("b3-k4", True), ("b3-k1", False)]  # the shared graphs once


@pytest.mark.parametrize(
    ("rows", "threads", "parts"),
    [(1, 2, 1), (15, 2, 1), (16, 2, 2), (32, 1, 1), (32, 2, 2), (32, 16, 4), (256, 16, 16), (32, 0, 1)],
)
def test_a_batch_runs_in_a_part_for_each_thread_but_none_too_small(rows: int, threads: int, parts: int) -> None:
    assert part_count(rows, threads) == parts


def test_graphs_in_another_type_are_refused_naming_those_there_are(family: Path) -> None:
    with pytest.raises(DocumentError, match="no ONNX graphs in int8; the family has float32"):
        OnnxEngine(family, read_manifest(family), EngineSettings(dtype="int8"))


@pytest.mark.parametrize("dtype", ["float32", "int8", "int4"])
def test_types_that_cuda_has_not_all_kernels_of_are_refused_there(dtype: str, family: Path) -> None:
    message = f"ONNX graphs in {dtype} run on CPUExecutionProvider, not on CUDAExecutionProvider"
    with pytest.raises(DocumentError, match=message):
        OnnxEngine(family, read_manifest(family), EngineSettings(dtype=dtype, device="cuda:0"))
