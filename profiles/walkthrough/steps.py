"""The commands of the whole path on the model that ships, run one after the other as a person would type them."""

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from profiles.errors import MeasurementError
from runtime.cli import main

MODEL = Path(__file__).parents[1] / "data" / "demo"
CHECKPOINT, BASELINE = MODEL / "checkpoint", MODEL / "baseline.json"
RECOMMENDATIONS = MODEL / "evidence" / "pruning_recommendations.json"
GATED = "b14-k4"
SAMPLES = 100  # of each data set: a tour, not a measurement to rely on; profiles/data/demo has that
ANY_SPREAD = "10"  # a tour goes on where other programs run


@dataclass(frozen=True, kw_only=True, slots=True)
class Paths:
    """Where the family goes, and beside it what is measured of it."""

    family: Path

    @property
    def measured(self) -> Path:
        """The folder of what is measured."""
        return self.family.with_name(f"{self.family.name}-measured")

    @property
    def latency(self) -> Path:
        """The latency profile."""
        return self.measured / "latency.json"

    @property
    def estimator(self) -> Path:
        """The latency estimator."""
        return self.measured / "estimator.json"

    @property
    def baseline(self) -> Path:
        """The accuracy of all variants."""
        return self.measured / "baseline.json"

    @property
    def gate(self) -> Path:
        """The accuracy that the gate measures."""
        return self.measured / "gate.json"


def commands(paths: Paths) -> Iterator[tuple[str, Sequence[str]]]:
    """What each step is for, and the arguments of `trimoe`."""
    family, measured = str(paths.family), str(paths.latency)
    yield (
        "Export: 5 depths × 3 numbers of experts per token, as safetensors and as ONNX",
        [
            *("export", str(CHECKPOINT), "--recommendations", str(RECOMMENDATIONS), "--top-k", "8,6,4"),
            *("--format", "safetensors,onnx", "--out", family),
        ],
    )
    yield "Verify: from the files' digests to the answers", ["verify", family]
    yield (
        "Measure: how long the variants take on this machine",
        [
            *("bench", family, "--engine", "onnx", "--budget-minutes", "0.5", "--out", measured),
            *("--spread-limit", ANY_SPREAD),
        ],
    )
    yield (
        "Fit: from the variants measured to all of them",
        ["fit", measured, "--out", str(paths.estimator)],
    )
    yield (
        "Evaluate: what their answers are worth, on images that nobody trained on",
        ["eval", family, "--data", "demo", "--engine", "onnx", "--limit", str(SAMPLES), "--out", str(paths.baseline)],
    )
    yield (
        "Gate: is a variant as good as it was when the model was made?",
        [
            *("gate", family, "--baseline", str(BASELINE), "--engine", "onnx", "--dtype", "float32"),
            *("--variant", GATED, "--measured", str(paths.gate)),
        ],
    )


def run_steps(paths: Paths) -> None:
    """Run all commands, each shown before its output. Raises what they raise, MeasurementError for one that ends with
    another exit status than 0."""
    paths.measured.mkdir(parents=True, exist_ok=True)
    for number, (purpose, arguments) in enumerate(commands(paths), start=1):
        show_step(number, purpose, arguments)
        began = time.monotonic()
        status = main.main(args=list(arguments), prog_name="trimoe", standalone_mode=False)
        if status:
            raise MeasurementError(f"trimoe {arguments[0]} ended with exit status {status}")
        click.echo(f"({time.monotonic() - began:.0f} s)\n")


def show_step(number: int, purpose: str, arguments: Sequence[str]) -> None:
    """The head of a step."""
    click.secho(f"{number}. {purpose}", bold=True)
    click.echo(f"$ {shlex.join(['trimoe', *arguments])}")
    sys.stdout.flush()
