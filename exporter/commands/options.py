"""The options that `trimoe plan` and `trimoe export` share, and what they mean."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import click

from exporter.architectures.dimensions import read_dimensions
from exporter.architectures.find import find_architecture
from exporter.checkpoint.checkpoint import Checkpoint, open_checkpoint
from exporter.commands.number_lists import distinct_numbers, number_ranges, number_sets, numbers
from exporter.evidence.evidence import (
    DEFAULT_MIN_DATASETS,
    ROBUST,
    STRATEGIES,
    ExplicitRemovals,
    Importance,
    Recommendations,
)
from exporter.evidence.files import EvidenceFile, as_any, as_importance, as_recommendations, read_evidence_files
from exporter.evidence.strategies import LEAST_DATASETS, Rule
from exporter.plan.request import PlanRequest
from runtime.commands.option_group import option_group
from runtime.errors import PlanError


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanOptions:
    """The shared options as given; None or empty where they were not."""

    recommendations: Path | None
    importance: Path | None
    remove: tuple[tuple[int, ...], ...]
    strategy: str | None
    min_datasets: int | None
    blocks: tuple[int, ...] | None
    top_k: tuple[int, ...] | None
    top_k_list: tuple[int, ...] | None
    protect: tuple[int, ...] | None
    also: tuple[Path, ...]

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the options that were given, as on the command line."""
        return tuple(
            "--" + field.name.replace("_", "-") for field in fields(self) if getattr(self, field.name) not in (None, ())
        )


FILE = click.Path(path_type=Path)
plan_options = option_group(
    "options",
    PlanOptions,
    click.option(
        "--recommendations",
        type=FILE,
        help="Remove what pruning_recommendations.json says, or cross_dataset_analysis.json by --strategy.",
    ),
    click.option(
        "--importance", type=FILE, help="Remove the blocks of the lowest scores in this file, flat or full form."
    ),
    click.option(
        "--remove",
        metavar="LIST",
        callback=number_sets,
        multiple=True,
        help="Remove these blocks, e.g. 4,13 or 10-13, or none; may be repeated, for a variant each.",
    ),
    click.option(
        "--strategy",
        type=click.Choice(STRATEGIES),
        help="Choose from cross_dataset_analysis.json block by block (stepwise, the default), the best set of each "
        "size (independent), or the best of those tried on enough data sets (robust).",
    ),
    click.option(
        "--min-datasets",
        type=click.IntRange(min=LEAST_DATASETS),
        help=f"Data sets that --strategy robust asks for  [default: {DEFAULT_MIN_DATASETS}]",
    ),
    click.option(
        "--blocks",
        metavar="LIST",
        callback=number_ranges,
        help="Numbers of blocks to keep, e.g. 12-16  [default: all the evidence covers]",
    ),
    click.option(
        "--top-k",
        metavar="LIST",
        callback=distinct_numbers,
        help="Experts per token after block 0, e.g. 8,6,4  [default: the source's]",
    ),
    click.option(
        "--top-k-list",
        metavar="LIST",
        callback=numbers,
        help="Experts per token of every source block; block 0 keeps the source's.",
    ),
    click.option(
        "--protect",
        metavar="LIST",
        callback=number_ranges,
        help="Never remove these blocks either, e.g. 14-15; block 0 is never removed.",
    ),
    click.option("--also", type=FILE, multiple=True, help="Note where this evidence file disagrees; may be repeated."),
)


def read_request(folder: Path, options: PlanOptions) -> tuple[Checkpoint, PlanRequest]:
    """Open the checkpoint and read the evidence that the options name.

    Raises click.UsageError for options that contradict each other, and the errors of `open_checkpoint` and of the
    evidence readers.
    """
    check_options(options)
    checkpoint = open_checkpoint(folder)
    file = str(folder / "config.json")
    architecture = find_architecture(checkpoint.config, file=file)
    blocks = read_dimensions(architecture, checkpoint.config, file=file).blocks
    chosen, also = _read_evidence(options, blocks)
    request = PlanRequest(
        chosen=chosen,
        also=also,
        depths=options.blocks,
        top_ks=options.top_k,
        top_k_list=options.top_k_list,
        protected=options.protect or (),
    )
    return checkpoint, request


def check_options(options: PlanOptions) -> None:
    """Raise click.UsageError for options that cannot stand together."""
    ways = [way for way in ("--recommendations", "--importance", "--remove") if way in options.given]
    if len(ways) != 1:
        found = f"; found {' and '.join(ways)}" if ways else ""
        raise click.UsageError(f"give exactly one of --recommendations, --importance and --remove{found}")
    if options.top_k is not None and options.top_k_list is not None:
        raise click.UsageError("--top-k and --top-k-list cannot both be given")
    if options.min_datasets is not None and options.strategy != ROBUST:
        raise click.UsageError("--min-datasets applies to --strategy robust only")
    sets = [tuple(sorted(removed)) for removed in options.remove]
    for removed in sets:
        if sets.count(removed) > 1:
            raise click.UsageError(f"--remove {','.join(map(str, removed))} is given twice")


def _read_evidence(
    options: PlanOptions, blocks: int
) -> tuple[Importance | Recommendations | ExplicitRemovals, tuple[Importance | Recommendations, ...]]:
    rule = Rule(
        strategy=options.strategy,
        min_datasets=options.min_datasets or DEFAULT_MIN_DATASETS,
        protected=tuple(sorted({0, *(options.protect or ())})),
    )
    named = options.importance or options.recommendations
    files = read_evidence_files((*([named] if named else []), *options.also))
    _check_strategy(options, files)
    also = tuple(as_any(other, rule, blocks=blocks) for other in files[bool(named) :])
    if options.importance is not None:
        return as_importance(files[0], blocks=blocks), also
    if options.recommendations is not None:
        # A strategy meant for a compared analysis does not concern ready recommendations.
        chosen_by = rule if files[0].is_analysis else replace(rule, strategy=None)
        return as_recommendations(files[0], chosen_by, blocks=blocks), also
    return ExplicitRemovals(sets=tuple(tuple(sorted(removed)) for removed in options.remove)), also


def _check_strategy(options: PlanOptions, files: tuple[EvidenceFile, ...]) -> None:
    if options.strategy is not None and not any(file.is_analysis for file in files):
        names = ", ".join(str(file.path) for file in files) or "no file"
        raise PlanError(
            f"--strategy {options.strategy} needs a cross_dataset_analysis.json; the evidence given is {names}"
        )
