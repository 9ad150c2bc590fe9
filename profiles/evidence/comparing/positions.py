"""Where in the model the removed blocks stand: early, middle and late."""

from collections.abc import Sequence
from dataclasses import dataclass

from profiles.evidence.combining.combination import Combination, Study
from profiles.evidence.combining.positions import POSITIONS, position_of
from profiles.evidence.comparing.summary import Summary, summarize


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """One third of the blocks: the drops of its blocks alone, those of all combinations by the blocks' share in them,
    and those of larger combinations that lie in it altogether (mean drops, block 0 left out)."""

    name: str
    blocks: tuple[int, ...]
    single: Summary | None
    touching: Summary | None
    inside: Summary | None


def positions(study: Study) -> tuple[Position, ...]:
    """The three thirds of the model."""
    found = [one for one in study.combinations if one.removed and 0 not in one.removed]
    return tuple(_position(name, found, study.blocks) for name in POSITIONS)


def _position(name: str, found: Sequence[Combination], blocks: int) -> Position:
    own = {block for block in range(blocks) if position_of(block, blocks) == name}
    return Position(
        name=name,
        blocks=tuple(sorted(own)),
        single=summarize(one.mean for one in found if len(one.removed) == 1 and own >= set(one.removed)),
        touching=summarize(one.mean for one in found if own & set(one.removed)),
        inside=summarize(one.mean for one in found if len(one.removed) > 1 and own >= set(one.removed)),
    )
