"""`trimoe eval`: measure the accuracy of a family's variants on data sets and write a baseline."""

import sys
from pathlib import Path

import click

from profiles.commands.dataset_options import columns_option, dataset_option, named_values
from runtime.documents.baseline import ENGINES, dump_baseline
from runtime.documents.manifest import read_manifest
from runtime.text.terminal import terminal_width


@click.command("eval")
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@dataset_option
@click.option("--variant", "variants", multiple=True, help="Measure only this variant. Repeatable.  [default: all]")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(ENGINES),
    default=("torch",),
    show_default=True,
    help="What runs the variants. Repeatable.",
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    default=("float32",),
    show_default=True,
    help="Which ONNX graphs to run; the torch engine has the checkpoint's dtype. Repeatable.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Measure N samples of each data set, evenly spaced."
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Samples generated together."
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of the engine on the CPU  [default: its own choice]"
)
@click.option(
    "--max-new-tokens", type=click.IntRange(min=1), help="Tokens generated at most  [default: the data set's own]"
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    callback=named_values,
    metavar="NAME=ID",
    help="Score a data set by this metric, e.g. anls/lmms.",
)
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    callback=named_values,
    metavar="NAME=TEMPLATE",
    help="Ask with this template of {question}, {options}.",
)
@columns_option
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
    engines: tuple[str, ...],
    dtypes: tuple[str, ...],
    limit: int | None,
    batch_size: int,
    threads: int | None,
    max_new_tokens: int | None,
    metrics: dict[str, str],
    prompts: dict[str, str],
    columns: dict[str, str],
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
    from profiles.accuracy.evaluate import EvalRequest, family_record
    from profiles.accuracy.evaluate import evaluate as run
    from profiles.accuracy.openers import open_engines
    from profiles.datasets.named import Changes, load_named  # numpy
    from profiles.reports.sample_progress import SampleProgress
    from profiles.reports.score_table import show_scores

    changes = Changes(metrics=metrics, prompts=prompts, columns=columns, max_new_tokens=max_new_tokens, limit=limit)
    request = EvalRequest(
        family=family_record(manifest),
        variants=chosen,
        engines=open_engines(
            tuple(dict.fromkeys(engines)), family, manifest, dtypes=tuple(dict.fromkeys(dtypes)), threads=threads
        ),
        datasets=load_named(data, changes),
        batch_size=batch_size,
    )
    baseline = run(request, out, SampleProgress(sys.stderr))
    shown = dump_baseline(baseline).decode() if as_json else show_scores(baseline, width=terminal_width(sys.stdout))
    click.echo(shown, nl=False)
