"""What is doubtful about files of scores: zeros, gaps, and numbers that were assigned instead of measured."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from exporter.evidence.evidence import Importance, show_blocks
from profiles.evidence.checking.sources import Measured, Sources
from profiles.evidence.combining.combination import Study
from profiles.evidence.combining.positions import single_blocks

ROUND = 1000
"""Scores that are whole thousandths were written, not measured."""
MANY = 6
NOTICEABLE = 0.005
"""A loss of half a point: what was measured to lose as much is not worth 0."""


def doubts(sources: Sources) -> Iterator[str]:
    """A sentence on everything that is doubtful in each file of scores."""
    for one in sources.importances:
        yield from _gaps(one, sources.blocks)
        yield from _zeros(one, sources)
        yield from _assigned(one)
        yield from _negative(one)


def _gaps(one: Importance, blocks: int) -> Iterator[str]:
    missing = [block for block in range(blocks) if block not in dict(one.scores)]
    if missing:
        yield f"{one.file}: no score for blocks {missing}: they are kept, or have to be protected"


def _zeros(one: Importance, sources: Sources) -> Iterator[str]:
    zeros = [block for block, score in one.scores if score == 0]
    if not zeros:
        return
    measured = {block: _measured(block, sources.study, sources.sensitivities) for block in zeros}
    known = {block: drop for block, drop in measured.items() if drop is not None}
    wrong = {block: drop for block, drop in known.items() if abs(drop) >= NOTICEABLE}
    if wrong:
        told = ", ".join(f"{block}: {100 * drop:.2f}" for block, drop in wrong.items())
        yield f'{one.file}: zeros that mean "not measured" or "remove": measured these blocks lose, in points, {told}'
    untold = [block for block in zeros if block not in known]
    if untold:
        yield (
            f"{one.file}: blocks {show_blocks(tuple(untold))} have the score 0 and no measurement here says so: a "
            'measured loss is hardly ever exactly 0; take the zeros for "not measured"'
        )


def _measured(block: int, study: Study | None, sensitivities: Sequence[Measured]) -> float | None:
    """What a block alone loses on average: by its sensitivities, or else by the searches."""
    found = [one.sensitivity.importance for one in sensitivities if one.sensitivity.block == block]
    if found:
        return fmean(found)
    single = {} if study is None else single_blocks(study)
    return single[(block,)].mean if (block,) in single else None


def _assigned(one: Importance) -> Iterator[str]:
    values = [score for _, score in one.scores]
    if len(values) >= MANY and all(abs(score * ROUND - round(score * ROUND)) < 1e-9 for score in values):
        yield f"{one.file}: every score is a whole thousandth: they were assigned by rank, not measured"


def _negative(one: Importance) -> Iterator[str]:
    below = [block for block, score in one.scores if score < 0]
    if below:
        yield f"{one.file}: blocks {show_blocks(tuple(below))} have scores below 0: a gain by chance; they go first"
