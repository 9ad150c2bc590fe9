"""Single blocks of a study, and where in the model a block stands."""

from collections.abc import Mapping

from profiles.evidence.combining.combination import Combination, Removed, Study

EARLY, MIDDLE, LATE = "early", "middle", "late"
POSITIONS = (EARLY, MIDDLE, LATE)


def position_of(block: int, blocks: int) -> str:
    """The third in which a block stands; of 16, early is 0–4, middle 5–10, late 11–15, as in the study."""
    return EARLY if block < round(blocks / 3) else MIDDLE if block < round(2 * blocks / 3) else LATE


def single_blocks(study: Study) -> Mapping[Removed, Combination]:
    """The single blocks that were tried, ascending."""
    single = (one for one in study.combinations if len(one.removed) == 1)
    return {one.removed: one for one in sorted(single, key=lambda one: one.removed)}
