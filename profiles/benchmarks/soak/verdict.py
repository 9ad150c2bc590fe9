"""Whether a soak was well: nothing went wrong, and enough was seen to say so."""

from collections.abc import Mapping
from dataclasses import dataclass

from profiles.benchmarks.soak.good import ASKING, CHECKED
from profiles.benchmarks.soak.memory import Growth

LONG_S = 300.0  # from which on growth is told, and has to be
LEAST_CHECKED = 0.5  # of the requests that ask for an answer; some have budgets that nothing keeps


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of requests in so many seconds, how often the family was to be changed and how often another one was
    there then, how often the engine failed, as it was made to, what went wrong (nothing, if all is well), and whether
    the server grew (None: too short to tell)."""

    seconds: float
    counts: Mapping[tuple[str, str], int]
    changes: int
    swaps: int
    faults: int
    problems: tuple[str, ...]
    growth: Growth | None

    @property
    def checked(self) -> float:
        """The share of requests for answers that got one, compared with the recorded one."""
        asked = {outcome: count for outcome, count in self.counts.items() if outcome[0] in ASKING}
        return sum(count for (_, outcome), count in asked.items() if outcome in CHECKED) / max(1, sum(asked.values()))

    @property
    def lacks(self) -> tuple[str, ...]:
        """What was not seen that a verdict needs."""
        long = self.seconds >= LONG_S
        found = []
        if self.checked < LEAST_CHECKED:
            share, least = 100 * self.checked, 100 * LEAST_CHECKED
            found.append(f"answers checked: {share:.0f} % of what was asked, at least {least:.0f} % are needed")
        if not self.swaps and (self.changes or long):
            found.append(f"a change of the family that was done, of {self.changes}")
        if not self.faults and long:
            found.append("a fault of the engine")
        if self.growth is None and long:
            found.append("enough rests to tell growth")
        return tuple(found)

    @property
    def well(self) -> bool:
        """Whether nothing went wrong, and enough was seen."""
        return not self.problems and not self.lacks and (self.growth is None or self.growth.flat)
