"""What importing the engines costs: torch and transformers only where they are asked for."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "onnx", "PIL")


def loaded_by(statements: str) -> list[str]:
    code = f"import sys; {statements}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("module", ["engine", "session", "decoder", "self_test"])
def test_the_onnx_engine_imports_neither_torch_nor_transformers(module: str) -> None:
    found = loaded_by(f"import runtime.engines.onnx.{module}")
    assert not set(HEAVY) & set(found) and "onnxruntime" in found


@pytest.mark.parametrize("module", ["open", "greedy", "prompts", "protocol", "padding"])
def test_what_all_engines_share_imports_none_of_their_frameworks(module: str) -> None:
    assert not {*HEAVY, "onnxruntime"} & set(loaded_by(f"import runtime.engines.{module}"))
