"""What the README shows runs as written, on what `make demo` makes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import DEMO, ROOT

READMES = sorted(path for path in ROOT.glob("**/README.md") if not {".venv", "artifacts"} & set(path.parts))
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one variant of the demo's family where `make demo` puts it, and the project's data."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "profiles").symlink_to(ROOT / "profiles")
    options = ["--remove", "10,15", "--top-k", "4", "--format", "safetensors,onnx", "--no-logits"]
    command = [
        sys.executable,
        "-c",
        "from runtime.cli import main; main()",
        "export",
        str(DEMO / "checkpoint"),
        *options,
    ]
    subprocess.run([*command, "--out", str(folder / "artifacts" / "demo")], check=True, cwd=ROOT, capture_output=True)
    return folder


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["transformers", "onnx"])
def test_a_snippet_reads_the_number_on_the_picture(snippet: str, workplace: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "HF_MODULES_CACHE": str(workplace / "modules"), "PATH": ""}
    found = subprocess.run(
        [sys.executable, "-c", snippet], cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    assert found.stdout == "[' 0720']\n", found.stderr


def test_readmes_hold_no_placeholder_and_the_first_is_short() -> None:
    for path in READMES:
        assert re.search(r"@[A-Z]+@|TODO", path.read_text("utf-8")) is None, path
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("path", READMES, ids=[str(path.relative_to(ROOT)) for path in READMES])
def test_links_and_files_named_in_readmes_are_there(path: Path) -> None:
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists(), f"{path}: {target}"
