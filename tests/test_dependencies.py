"""What the packages import is declared in pyproject.toml, and what is declared is used."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = {"runtime", "exporter", "profiles"}
DISTRIBUTIONS = {
    "PIL": "pillow",
    "google": "protobuf",
    "sklearn": "scikit-learn",
    "onnx_ir": "onnx-ir",
    "onnxruntime_genai": "onnxruntime-genai",
    "prometheus_client": "prometheus-client",
    "pynvml": "nvidia-ml-py",
}
# Its jar is run, not imported (profiles.metrics.normalisation.ptb); either build of onnxruntime gives the module.
NEVER_IMPORTED = {"pycocoevalcap", "onnxruntime-gpu"}
# Extras whose packages each package may import, beside the base.
EXTRAS = {
    "runtime": ("export", "cpu", "genai", "serve"),
    "exporter": ("export", "cpu"),
    "profiles": ("export", "profiles", "captions", "hf", "cpu", "gpu"),
}


def imported(package: str) -> set[str]:
    """The distributions whose modules the package imports, wherever in a module."""
    names = {name for file in (ROOT / package).rglob("*.py") for name in _modules(file)}
    return {DISTRIBUTIONS.get(name, name) for name in names - OWN - sys.stdlib_module_names}


def _modules(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module.partition(".")[0]


def declared(*extras: str) -> set[str]:
    """The distributions that the project and these extras name themselves."""
    optional = PROJECT["optional-dependencies"]
    stated = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    return {re.split(r"[^\w-]", line)[0] for line in stated} - {"trimoe"}


@pytest.mark.parametrize("package", EXTRAS)
def test_what_a_package_imports_is_declared(package: str) -> None:
    assert imported(package) - declared(*EXTRAS[package]) == set()


def test_what_is_declared_is_imported() -> None:
    used = {name for package in EXTRAS for name in imported(package)}
    known = ("export", "profiles", "captions", "hf", "cpu", "gpu", "genai", "serve")
    assert declared(*known) - used == NEVER_IMPORTED
