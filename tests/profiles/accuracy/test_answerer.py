"""Answers of both engines, whatever the batch and what follows it; the commands on a real tiny family."""

import io
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from exporter.graphs.graph_form import GraphExport
from profiles.accuracy.answerer import EngineAnswerer, SampleQuestion, open_answerers
from profiles.commands.eval import evaluate
from profiles.commands.gate import gate
from profiles.sample import Sample
from runtime.documents.baseline import read_baseline
from runtime.documents.manifest import read_manifest
from runtime.engines.settings import EngineSettings
from runtime.engines.torch.engine import TorchEngine
from runtime.errors import TrimoeError
from tests.support.families import export_plan, model_source, plan_family
from tests.support.tiny_molmoe import write_tiny_molmoe
from tests.support.tiny_tokenizer import write_tiny_processor_files

REMOVALS = ((), (2,))


pytestmark = pytest.mark.usefixtures("one_thread")


def picture(seed: int, size: tuple[int, int]) -> bytes:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (size[1], size[0], 3), generator=generator, dtype=torch.uint8).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def samples(count: int) -> list[SampleQuestion]:
    sizes = ((24, 24), (48, 20), (20, 60))
    return [
        SampleQuestion(
            prompt="Say " + "word " * (index % 4),
            sample=Sample(id=str(index), question="", image=picture(index, sizes[index % 3])),
        )
        for index in range(count)
    ]


@pytest.fixture(scope="module")
def molmoe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("molmoe")
    source = write_tiny_processor_files(model_source("molmoe", folder / "source"))
    export_plan(plan_family(source, removals=REMOVALS, top_ks=(4, 1)), folder / "family")
    return folder / "family"


def torch_answerer(family: Path, variant: int) -> EngineAnswerer:
    manifest = read_manifest(family)
    record = manifest.variants[variant]
    return EngineAnswerer(TorchEngine(family, manifest, device="cpu"), record.id, family / record.folder)


@pytest.mark.parametrize("variant", [0, 3])
def test_answers_do_not_depend_on_the_batch(molmoe: Path, variant: int) -> None:
    answerer = torch_answerer(molmoe, variant)
    questions = samples(7)
    alone = [text for question in questions for text in answerer.answer([question], max_new_tokens=6)]
    assert answerer.answer(questions, max_new_tokens=6) == alone
    assert answerer.answer(questions[::-1], max_new_tokens=6) == alone[::-1]
    assert len(set(alone)) > 1
    assert answerer.dtype == "float32" and answerer.software["torch"] == torch.__version__
    answerer.close()


def test_families_of_text_answer_text(tmp_path: Path) -> None:
    source = write_tiny_processor_files(model_source("olmoe", tmp_path / "source"))
    (source / "preprocessor_config.json").unlink()
    export_plan(plan_family(source, removals=REMOVALS, top_ks=(4, 1)), tmp_path / "family")
    answerer = torch_answerer(tmp_path / "family", 1)
    questions = [
        SampleQuestion(prompt="word " * length, sample=Sample(id=str(length), question="")) for length in (1, 3, 2)
    ]
    alone = [text for question in questions for text in answerer.answer([question], max_new_tokens=4)]
    assert answerer.answer(questions, max_new_tokens=4) == alone
    answerer.close()


def test_the_batch_that_follows_is_read_once_and_meanwhile(molmoe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answerer = torch_answerer(molmoe, 0)
    first, second = samples(4)[:2], samples(4)[2:]
    expected = answerer.answer(second, max_new_tokens=4)
    opened = []
    open_image = Sample.open_image
    monkeypatch.setattr(Sample, "open_image", lambda self: opened.append(self.id) or open_image(self))
    answerer.answer(first, max_new_tokens=4, following=second)
    assert answerer.answer(second, max_new_tokens=4) == expected
    assert answerer.answer(first, max_new_tokens=4, following=second) and answerer.answer(first, max_new_tokens=4)
    assert opened == ["0", "1", "2", "3", "0", "1", "2", "3", "0", "1"]  # another batch than announced is read anew
    opened.clear()
    answerer.answer(first[:1], max_new_tokens=4, following=second[:1])
    answerer.answer(second[1:], max_new_tokens=4)
    assert opened == ["0", "3"]  # a single sample is not read ahead
    answerer.close()


def dataset(folder: Path, count: int = 6) -> Path:
    path = folder / "mine.jsonl"
    lines = []
    for index in range(count):
        (folder / f"{index}.png").write_bytes(picture(index, (24, 24)))
        lines.append(
            json.dumps({"image": f"{index}.png", "question": "What? " * (index % 3 + 1), "answers": ["x", "y", "z"]})
        )
    path.write_text("\n".join(lines), "utf-8")
    return path


def run(command, *arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_commands_measure_a_family_and_judge_it_by_its_own_baseline(molmoe: Path, tmp_path: Path) -> None:
    data = f"mine={dataset(tmp_path)}"
    out = tmp_path / "baseline.json"
    status, text = run(evaluate, molmoe, "--data", data, "--batch-size", 4, "--max-new-tokens", 5, "--out", out)
    manifest = read_manifest(molmoe)
    baseline = read_baseline(out)
    assert status == 0 and text.splitlines()[1] == "vqa"
    assert [score.variant for score in baseline.scores] == [variant.id for variant in manifest.variants]
    assert baseline.scores[0].decoding.max_new_tokens == 5

    first = manifest.variants[0].id
    status, text = run(
        gate, molmoe, "--baseline", out, "--measured", tmp_path / "now.json", "--data", data, "--variant", first
    )
    assert status == 3
    assert f"{first} (torch float32) against {first}" in text and "not enough samples to tell" in text
    status, text = run(gate, molmoe, "--baseline", out, "--measured", out, "--detect", 90, "--json")
    document = json.loads(text)
    assert status == 0 and document["verdict"] == "pass"
    assert [part["variant"] for part in document["parts"]] == [variant.id for variant in manifest.variants]


def test_the_same_command_twice_gives_the_same_bytes(molmoe: Path, tmp_path: Path) -> None:
    data = f"mine={dataset(tmp_path)}"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run(evaluate, molmoe, "--data", data, "--variant", "b5-k1", "--out", tmp_path / name / "b.json")
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.json*")} for name in ("one", "two"))
    assert first == second and len(first) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variant", "b9", "--data", "digits-mc"], "no variant 'b9' in this family"),
        (["--data", "okvqa=/nowhere"], "/nowhere is neither a file nor a folder"),
        (["--data", "digits-mc", "--metric", "digits-mc=accuracy"], "no metric 'accuracy'"),
        (
            ["--data", "digits-mc", "--metric", "digits-mc=cider/words"],
            "cider/words needs references, and data set digits-mc: sample '0' has none",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    molmoe: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(TrimoeError, match=message):
        run(evaluate, molmoe, *arguments, "--out", tmp_path / "b.json")


def test_without_data_the_command_asks_for_it(molmoe: Path) -> None:
    result = CliRunner().invoke(evaluate, [str(molmoe)])
    assert result.exit_code == 2 and "give at least one --data" in result.output
    result = CliRunner().invoke(evaluate, [str(molmoe), "--data", "demo", "--metric", "em"])
    assert result.exit_code == 2 and "'em' is not NAME=VALUE" in result.output


def test_both_engines_give_the_same_answers(tmp_path: Path) -> None:
    source = write_tiny_processor_files(write_tiny_molmoe(tmp_path / "source", n_layers=4, n_heads=2))
    plan, family = plan_family(source, removals=((2,),), top_ks=(4, 1), graphs=("float32",)), tmp_path / "family"
    export_plan(plan, family, graphs=GraphExport(plan))
    manifest = read_manifest(family)
    questions = [*samples(7), SampleQuestion(prompt="No image", sample=Sample(id="7", question=""))]
    openers = {
        threads: dict(
            open_answerers(
                ("torch", "onnx"), family, manifest, dtypes=("float32",), settings=EngineSettings(threads=threads)
            )
        )
        for threads in (1, 2)
    }
    for variant in manifest.variants:
        expected = openers[1]["torch"](variant.id).answer(questions, max_new_tokens=6)
        answerer = openers[1]["onnx"](variant.id)
        assert answerer.answer(questions, max_new_tokens=6) == expected
        assert answerer.answer(questions[3:4], max_new_tokens=6) == expected[3:4]
        assert answerer.answer(questions[7:], max_new_tokens=6) == expected[7:]
        assert answerer.dtype == "float32" and answerer.software["onnxruntime threads"] == "1"
        answerer.close()
        parts = openers[2]["onnx"](variant.id)
        many, fewer = questions * 2 + questions[:3], questions[::-1] * 2
        assert parts.answer(many, max_new_tokens=6, following=fewer) == expected * 2 + expected[:3]
        assert parts.answer(fewer, max_new_tokens=6, following=questions) == expected[::-1] * 2
        assert parts.answer(questions[:1], max_new_tokens=6) == expected[:1]
        parts.close()
    with pytest.raises(TrimoeError, match="no ONNX graphs in int8; the family has float32"):
        open_answerers(("onnx",), family, manifest, dtypes=("int8",))


def test_a_family_without_graphs_says_how_to_export_them(molmoe: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TrimoeError, match="no ONNX graphs in float32; the family has none: export with --format safetensors,onnx"
    ):
        run(evaluate, molmoe, "--data", "digits-mc", "--engine", "onnx", "--out", tmp_path / "b.json")
