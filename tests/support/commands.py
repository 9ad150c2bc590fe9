"""The command `trimoe`, run in this process."""

from pathlib import Path

from click.testing import CliRunner, Result

from runtime.cli import main

WITH_GRAPHS = ("--format", "safetensors,onnx")


def trimoe(*arguments: object) -> Result:
    """The result of `trimoe` with these arguments."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def export_with_graphs(source: Path, out: Path, *more: str, dtype: str = "float32") -> Result:
    """Export the variant b3-k2 of a model of four blocks, its graphs and, given `more`, what else is asked for."""
    chosen = ("--remove", "2", "--top-k", "2", *WITH_GRAPHS, "--dtype", dtype)
    return trimoe("export", source, "--out", out, *chosen, *more)
