"""Combinations against the sum of their parts: what removing blocks together costs beyond removing each alone."""

from dataclasses import dataclass
from statistics import fmean

from profiles.evidence.combining.combination import Combination, Study
from profiles.evidence.combining.positions import single_blocks


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """A combination of several blocks. `together` is its mean drop, `alone` the sum of the mean drops of its blocks,
    both on the same `datasets`; `alone_anywhere` is that sum over all data sets on which each block was tried, as the
    study has it."""

    combination: Combination
    datasets: tuple[str, ...]
    together: float
    alone: float
    alone_anywhere: float

    @property
    def excess(self) -> float:
        """Drop beyond the sum of the parts: below 0 synergy, above 0 antagonism."""
        return self.together - self.alone

    @property
    def excess_as_studied(self) -> float:
        """The same with the study's sum, whose data sets are others."""
        return self.combination.mean - self.alone_anywhere


def parts(study: Study) -> tuple[Parts, ...]:
    """Every combination of several blocks of which each was tried alone on a data set of the combination, in the order
    of their excess; block 0 is left out."""
    single = single_blocks(study)
    found = []
    for one in study.combinations:
        if len(one.removed) < 2 or 0 in one.removed or any((block,) not in single for block in one.removed):
            continue
        members = [single[(block,)] for block in one.removed]
        common = tuple(name for name in one.drops if all(name in member.drops for member in members))
        if common:
            found.append(
                Parts(
                    combination=one,
                    datasets=common,
                    together=fmean(one.drops[name] for name in common),
                    alone=sum(fmean(member.drops[name] for name in common) for member in members),
                    alone_anywhere=sum(member.mean for member in members),
                )
            )
    return tuple(sorted(found, key=lambda one: one.excess))
