"""What a command says of a package that is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = "import sys; sys.modules[sys.argv.pop(1)] = None; from runtime.cli import main; main()"


@pytest.mark.parametrize(("package", "command"), [("scipy", "eval"), ("scipy", "gate")])
def test_a_package_that_is_missing_is_named_with_what_to_install(bare_family: Path, package: str, command: str) -> None:
    options = {"eval": ["--data", "demo"], "gate": ["--baseline", str(bare_family / "manifest.json")]}[command]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, package, command, str(bare_family), *options], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: trimoe {command} needs the package {package}, which is not installed: "
        "pip install 'trimoe[profiles,cpu]'\n"
    )
