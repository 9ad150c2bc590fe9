"""Baselines of families whose variants answer as told, and runs of the gate on them."""

from pathlib import Path

from click import ClickException
from click.testing import CliRunner

from profiles.accuracy.evaluation.evaluate import EvalRequest, evaluate, family_record
from profiles.commands.gate import UnmeasuredError, gate
from profiles.datasets.dataset import Dataset, Settings
from profiles.sample import Sample
from runtime.documents.baseline import FamilyRecord
from runtime.documents.manifest import read_manifest
from runtime.errors import TrimoeError
from tests.support.echo_engine import EchoEngine, SilentProgress

SETTINGS = Settings(task="vqa", metric="em/molmo", cleanup="cleanup/molmo", prompt="{question}", max_new_tokens=8)


def variants(family: Path) -> list[str]:
    return [variant.id for variant in read_manifest(family).variants]


def dataset(name: str, count: int) -> Dataset:
    return Dataset(
        name=name,
        samples=tuple(Sample(id=str(index), question=str(index), answers=("x",)) for index in range(count)),
        settings=SETTINGS,
    )


def measure(
    family: Path,
    out: Path,
    wrong: dict[str, int],
    *,
    names: tuple[str, ...] = ("okvqa", "tally-qa"),
    count: int = 2000,
    record: FamilyRecord | None = None,
    engine: str = "torch",
    dtype: str = "float32",
) -> Path:
    """Every variant answers the first `wrong[variant]` questions wrongly."""
    out.parent.mkdir(parents=True, exist_ok=True)

    def opener(variant: str) -> EchoEngine:
        return EchoEngine(lambda prompt: "no" if int(prompt) < wrong.get(variant, 0) else "x", dtype=dtype)

    evaluate(
        EvalRequest(
            family=record or family_record(read_manifest(family)),
            variants=tuple(variants(family)),
            engines=((engine, opener),),
            datasets=tuple(dataset(name, count) for name in names),
            batch_size=500,
        ),
        out,
        SilentProgress(),
    )
    return out


def run(family: Path, *arguments: object) -> tuple[int, str]:
    """Status and output; errors of trimoe, which end the command with status 4, are raised."""
    result = CliRunner().invoke(gate, [str(family), *map(str, arguments)], standalone_mode=False)
    error = result.exception
    if isinstance(error, UnmeasuredError) and isinstance(error.__cause__, TrimoeError):
        raise error.__cause__
    if isinstance(error, ClickException):
        return error.exit_code, error.format_message()
    if error is not None:
        raise error
    return result.return_value, result.stdout or result.stderr
