"""What the README shows runs as written, on what `make demo` makes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

READMES = sorted(path for path in ROOT.glob("**/README.md") if not {".venv", "artifacts"} & set(path.parts))
SHOWN = "\n".join(path.read_text("utf-8") for path in (ROOT / "README.md", ROOT / "runtime" / "README.md"))
SNIPPETS = re.findall(r"```python\n(.*?)```", SHOWN, re.DOTALL)


@pytest.fixture(scope="module")
def workplace(demo_family: Path) -> Path:
    """A folder with the family where `make demo` puts it, and the project's data."""
    folder = demo_family.parent.parent
    (folder / "profiles").symlink_to(ROOT / "profiles")
    return folder


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["transformers", "family", "light"])
def test_a_snippet_reads_the_number_on_the_picture(snippet: str, workplace: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "HF_MODULES_CACHE": str(workplace / "modules"), "PATH": ""}
    environment["XDG_CACHE_HOME"] = str(workplace / "cache")
    found = subprocess.run(
        [sys.executable, "-c", snippet], cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    assert found.stdout in ("[' 0720']\n", " 0720\n"), found.stderr


def test_readmes_hold_no_placeholder_and_the_first_is_short() -> None:
    for path in READMES:
        assert re.search(r"@[A-Z]+@|TODO", path.read_text("utf-8")) is None, path
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("path", READMES, ids=[str(path.relative_to(ROOT)) for path in READMES])
def test_links_and_files_named_in_readmes_are_there(path: Path) -> None:
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists(), f"{path}: {target}"
