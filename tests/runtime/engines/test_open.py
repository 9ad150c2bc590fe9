"""Engines by name."""

import builtins
from pathlib import Path
from typing import Any

import pytest

from runtime.engines.open import open_engine
from runtime.errors import DocumentError, MissingPackageError


@pytest.mark.parametrize("name", ["torch", "onnx"])
def test_an_engine_whose_packages_are_missing_says_what_to_install(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(wanted: str, *arguments: Any, **options: Any) -> Any:
        if wanted.startswith(f"runtime.engines.{name}."):
            raise ModuleNotFoundError("No module named 'x'", name="x")
        return real(wanted, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    message = rf"the {name} engine needs the package x, which is not installed: pip install 'trimoe\[export,cpu\]'"
    with pytest.raises(MissingPackageError, match=message):
        open_engine(name, tmp_path, None)


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no engine 'jax'; there are torch, onnx"):
        open_engine("jax", tmp_path, None)
