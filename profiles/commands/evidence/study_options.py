"""The options of the commands that read a study's results, and what they mean."""

from dataclasses import dataclass
from pathlib import Path

import click

from exporter.commands.number_lists import number_ranges
from exporter.evidence.evidence import DEFAULT_MIN_DATASETS
from exporter.evidence.strategies import LEAST_DATASETS
from runtime.commands.option_group import option_group


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyOptions:
    """The shared options as given; None where they were not."""

    blocks: int | None
    split: str | None
    protect: tuple[int, ...] | None
    min_datasets: int

    @property
    def protected(self) -> tuple[int, ...]:
        """Block 0, and those asked for."""
        return tuple(sorted({0, *(self.protect or ())}))


study_options = option_group(
    "options",
    StudyOptions,
    click.option("--blocks", type=click.IntRange(min=2), help="Blocks of the model  [default: what the results say]"),
    click.option("--split", help="Which split of each data set counts  [default: the one that pools the others]"),
    click.option(
        "--protect",
        metavar="LIST",
        callback=number_ranges,
        help="Never remove these blocks either, e.g. 14-15; block 0 is never removed.",
    ),
    click.option(
        "--min-datasets",
        type=click.IntRange(min=LEAST_DATASETS),
        default=DEFAULT_MIN_DATASETS,
        show_default=True,
        help="Data sets that the rule robust asks for; fewer are said to be little evidence.",
    ),
)
RESULTS = click.Path(path_type=Path, exists=True)
