"""`python -m profiles.benchmarks`: the project's own benchmarks, run by `make bench` and its kin."""

import click

from profiles.benchmarks.commands.batching import bench_batching
from profiles.benchmarks.commands.choice import bench_choice
from profiles.benchmarks.commands.estimators import bench_estimators
from profiles.benchmarks.commands.eval import bench_eval
from profiles.benchmarks.commands.export import bench_export
from profiles.benchmarks.commands.false_alarms import bench_false_alarms
from profiles.benchmarks.commands.latency import bench_latency
from profiles.benchmarks.commands.memory import bench_memory
from profiles.benchmarks.commands.onnx import bench_onnx
from profiles.benchmarks.commands.recalibration import bench_recalibration
from profiles.benchmarks.commands.recommendations import bench_recommendations
from profiles.benchmarks.commands.search import bench_search
from profiles.benchmarks.commands.serving import bench_serving
from profiles.benchmarks.commands.soak import bench_soak
from profiles.benchmarks.faults.command import bench_faults
from profiles.benchmarks.prepared.command import bench_prepared
from runtime.cli import Commands

PROGRAM = "python -m profiles.benchmarks"


class _Benchmarks(Commands):
    """The group of `trimoe`, whose errors are one line, with commands of its own."""

    list_commands = click.Group.list_commands
    get_command = click.Group.get_command
    format_commands = click.Group.format_commands


@click.group(
    cls=_Benchmarks,
    commands={
        "export": bench_export,
        "onnx": bench_onnx,
        "eval": bench_eval,
        "latency": bench_latency,
        "false-alarms": bench_false_alarms,
        "estimators": bench_estimators,
        "choice": bench_choice,
        "memory": bench_memory,
        "prepared": bench_prepared,
        "batching": bench_batching,
        "recalibration": bench_recalibration,
        "recommendations": bench_recommendations,
        "search": bench_search,
        "serving": bench_serving,
        "soak": bench_soak,
        "faults": bench_faults,
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
def benchmarks() -> None:
    """What trimoe costs, against the plain alternatives, in one run each."""


if __name__ == "__main__":
    benchmarks(prog_name=PROGRAM)
