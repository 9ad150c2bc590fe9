"""`trimoe eval`: measure the accuracy of a family's variants on data sets and write a baseline."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from profiles.commands.dataset_options import change_options, dataset_option
from profiles.datasets.changes import Changes
from runtime.commands.needed_packages import needed_packages
from runtime.commands.option_group import option_group
from runtime.commands.prepared_option import prepared_option
from runtime.documents.baseline import ENGINES, dump_baseline
from runtime.documents.manifest import read_manifest
from runtime.engines.prepared.forms import PreparedForms
from runtime.engines.settings import EngineSettings
from runtime.text.terminal import terminal_width

if TYPE_CHECKING:
    from profiles.accuracy.asking import Asking
    from profiles.datasets.dataset import Dataset


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineOptions:
    """What runs the variants: engines by name, dtypes of ONNX graphs, threads (None: the engine's own choice), where
    packed weights are (None: nowhere)."""

    engines: tuple[str, ...]
    dtypes: tuple[str, ...]
    threads: int | None
    prepared: PreparedForms | None


_engine_options = option_group(
    "engine",
    EngineOptions,
    click.option(
        "--engine",
        "engines",
        multiple=True,
        type=click.Choice(ENGINES),
        default=("torch",),
        show_default=True,
        help="What runs the variants. Repeatable.",
    ),
    click.option(
        "--dtype",
        "dtypes",
        multiple=True,
        default=("float32",),
        show_default=True,
        help="Which ONNX graphs to run; the torch engine has the checkpoint's dtype. Repeatable.",
    ),
    click.option(
        "--threads", type=click.IntRange(min=1), help="Threads of the engine on the CPU  [default: its own choice]"
    ),
    prepared_option,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class AskingOptions:
    """Whether questions are turns of a chat (None: where the tokenizer has a template), what stands before them, and
    the texts that end an answer."""

    chat: bool | None
    system: str | None
    stop: tuple[str, ...]


_asking_options = option_group(
    "asked",
    AskingOptions,
    click.option(
        "--chat/--no-chat",
        default=None,
        help="Ask by the tokenizer's chat template, or the texts alone  [default: chat where a text model has one]",
    ),
    click.option("--system", help="The system text before each question of a chat."),
    click.option("--stop", multiple=True, help="An answer ends before this text. Repeatable."),
)


@click.command("eval")
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@dataset_option
@click.option("--variant", "variants", multiple=True, help="Measure only this variant. Repeatable.  [default: all]")
@_engine_options
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Samples generated together."
)
@change_options
@_asking_options
@click.option("--skip-bad", is_flag=True, help="Leave out samples that cannot be asked; the baseline names them.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("baseline.json"),
    show_default=True,
    help="The baseline to write.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the baseline as a JSON document.")
def evaluate(
    family: Path,
    data: tuple[str, ...],
    variants: tuple[str, ...],
    engine: EngineOptions,
    batch_size: int,
    changes: Changes,
    asked: AskingOptions,
    skip_bad: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Measure FAMILY's variants on data sets: greedy answers, scores with intervals.

    Writes a baseline and, beside it, the answer to every sample. Interrupted, the same command carries on where it was.
    """
    if not data:
        raise click.UsageError("give at least one --data, e.g. --data demo")
    manifest = read_manifest(family)
    chosen = tuple(manifest.variant(name).id for name in variants) or tuple(variant.id for variant in manifest.variants)
    with needed_packages("trimoe eval", extras="profiles,cpu"):
        from profiles.accuracy.answerer import open_answerers
        from profiles.accuracy.evaluation.evaluate import EvalRequest, family_record
        from profiles.accuracy.evaluation.evaluate import evaluate as run
        from profiles.datasets.named import load_named
        from profiles.reports.sample_progress import SampleProgress
        from profiles.reports.score_table import show_scores

    progress = SampleProgress(sys.stderr)
    datasets, asking = _read(family / manifest.variant(chosen[0]).folder, load_named(data, changes), asked, skip_bad)
    names, dtypes = tuple(dict.fromkeys(engine.engines)), tuple(dict.fromkeys(engine.dtypes))
    settings = EngineSettings(threads=engine.threads, prepared=engine.prepared)
    request = EvalRequest(
        family=family_record(manifest),
        variants=chosen,
        engines=open_answerers(names, family, manifest, dtypes=dtypes, settings=settings),
        datasets=datasets,
        batch_size=batch_size,
        asking=asking,
    )
    baseline = run(request, out, progress)
    shown = dump_baseline(baseline).decode() if as_json else show_scores(baseline, width=terminal_width(sys.stdout))
    click.echo(shown, nl=False)


def _read(
    folder: Path, found: "tuple[Dataset, ...]", asked: AskingOptions, skip_bad: bool
) -> "tuple[tuple[Dataset, ...], Asking]":
    """The data sets, every sample read once as the variant in `folder` will read it, and how they are asked."""
    from profiles.accuracy.asking import asking_of
    from profiles.accuracy.evaluation.first_pass import read_all
    from profiles.reports.sample_progress import SampleProgress
    from runtime.engines.prompts import PromptReader

    reader = PromptReader(folder)
    asking = asking_of(reader, chat=asked.chat, system=asked.system, stop=asked.stop)
    if asking.chat_text is not None and asked.chat is None:
        click.echo("asked as a chat, by the tokenizer's own template; --no-chat asks the texts alone", err=True)
    readable = read_all(found, reader, SampleProgress(sys.stderr), asking=asking, skip_bad=skip_bad)
    for line in readable.lines:
        click.echo(line, err=True)
    return readable.datasets, asking
