"""Every example runs as it stands, and all give one answer; trimoe's own needs neither torch nor transformers."""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.graphs.graph_form import GraphExport
from tests.support.commands import trimoe
from tests.support.families import export_verified, plan_family
from tests.support.graph_families import write_graph_model
from tests.support.paths import DEMO, ROOT
from tests.support.tiny_tokenizer import tiny_tokenizer

EXAMPLES = ROOT / "runtime" / "examples"
# What `pip install 'trimoe[cpu]'` does not bring.
ABSENT = ("torch", "transformers", "huggingface_hub", "onnx", "onnx_ir", "ml_dtypes", "scipy", "sklearn", "psutil")


def run(example: str, *arguments: object, folder: Path, absent: tuple[str, ...] = ()) -> str:
    """What the example prints, where importing any of `absent` fails."""
    block = f"import runpy, sys; sys.modules.update(dict.fromkeys({absent!r})); sys.argv = sys.argv[1:]"
    code = f"{block}; runpy.run_path(sys.argv[0], run_name='__main__')"
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HF_MODULES_CACHE": str(folder), "XDG_CACHE_HOME": str(folder)}
    command = [sys.executable, "-c", code, str(EXAMPLES / example), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def text_family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    write_graph_model(folder / "source", "olmoe")
    tiny_tokenizer().save_pretrained(folder / "source")
    plan = plan_family(folder / "source", removals=((2,),), top_ks=(4,), graphs=("float32",))
    export_verified(plan, folder / "family", graphs=GraphExport(plan))
    return folder / "family"


@pytest.fixture(scope="module")
def answer(text_family: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("trimoe")
    found = run("with_trimoe.py", text_family, "b3-k4", "How many", folder=folder, absent=ABSENT)
    assert len(found) > 5 and list(folder.glob("trimoe/checks/*.json"))
    return found


@pytest.mark.parametrize("example", ["with_transformers.py", "with_onnxruntime.py", "with_genai.py"])
def test_examples_answer_as_trimoe_does(example: str, text_family: Path, answer: str, tmp_path: Path) -> None:
    if example == "with_genai.py":
        pytest.importorskip("onnxruntime_genai", reason="onnxruntime-genai is not installed")
    absent = {"with_transformers.py": (), "with_onnxruntime.py": ("runtime", *ABSENT)}.get(example, ("runtime",))
    assert run(example, text_family, "b3-k4", "How many", folder=tmp_path, absent=absent) == answer


@pytest.mark.parametrize("example", ["with_transformers.py", "with_onnxruntime.py", "with_genai.py"])
def test_examples_for_texts_say_so_of_a_family_that_reads_images(example: str, tmp_path: Path) -> None:
    if example == "with_genai.py":
        pytest.importorskip("onnxruntime_genai", reason="onnxruntime-genai is not installed")
    folder = tmp_path / "variants" / "b4-k4"
    folder.mkdir(parents=True)
    (folder / "preprocessor_config.json").write_text("{}")
    command = [sys.executable, str(EXAMPLES / example), str(tmp_path), "b4-k4", "How many"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{tmp_path} reads images; this example is for families of text" in done.stderr


def test_a_question_about_an_image_is_answered_without_torch_and_transformers(
    demo_family: Path, tmp_path: Path
) -> None:
    arguments = (demo_family, "b14-k4", "Read the number.", DEMO / "photo.png")
    assert run("with_trimoe.py", *arguments, folder=tmp_path, absent=ABSENT) == " 0720\n"


def test_a_copied_variant_answers_a_question_about_an_image_by_its_three_graphs(
    demo_family: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    result = trimoe("standalone", demo_family, "--variant", "b14-k4", "--format", "safetensors,onnx", "--out", copy)
    assert result.exit_code == 0
    arguments = (copy, "Read the number.", DEMO / "photo.png")
    assert run("with_onnxruntime_images.py", *arguments, folder=tmp_path, absent=("runtime",)) == " 0720\n"


def test_examples_are_short_and_all_are_run_here() -> None:
    files = sorted(EXAMPLES.glob("*.py"))
    assert [file.name for file in files] == [
        "with_genai.py",
        "with_onnxruntime.py",
        "with_onnxruntime_images.py",
        "with_transformers.py",
        "with_trimoe.py",
    ]
    for file in files:
        code = file.read_text("utf-8").rpartition('"""\n')[2]
        assert sum(bool(line.strip()) for line in code.splitlines()) <= 26, file
