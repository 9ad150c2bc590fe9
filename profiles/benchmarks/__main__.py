"""`python -m profiles.benchmarks`: the project's own benchmarks, run by `make bench` and its kin."""

import click

from profiles.benchmarks.commands.eval import bench_eval
from profiles.benchmarks.commands.export import bench_export
from profiles.benchmarks.commands.onnx import bench_onnx


@click.group(commands={"export": bench_export, "onnx": bench_onnx, "eval": bench_eval})
def benchmarks() -> None:
    """What trimoe costs, against the plain alternatives, in one run each."""


if __name__ == "__main__":
    benchmarks(prog_name="python -m profiles.benchmarks")
