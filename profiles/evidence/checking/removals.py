"""Which blocks every source would remove at each depth, where they disagree, and at what cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.evidence.evidence import STEPWISE, Importance, Recommendations
from exporter.plan.blocks import choose_blocks
from profiles.evidence.checking.sources import Sources
from profiles.evidence.combining.combination import Combination, Removed, Study
from profiles.evidence.combining.effects.estimate import Estimates, estimate
from profiles.evidence.combining.recommend import fit_study
from profiles.evidence.combining.rules import chosen_by
from runtime.errors import PlanError


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What one source removes: its name, and one set for each number of removed blocks; `refusals` says, for numbers of
    removed blocks where it cannot tell, why."""

    source: str
    sets: Mapping[int, Removed]
    refusals: Mapping[int, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a set loses: as measured (None: it was never tried), and the estimate over all data sets with its interval
    (None: without results there is none)."""

    measured: Combination | None
    estimate: tuple[float, float, float] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """At one number of removed blocks, `source` does not remove what `reference` does. `sure` is how probable it is
    that the reference loses less over all data sets (None: not known)."""

    size: int
    reference: str
    wanted: Removed
    wanted_cost: Cost
    source: str
    removed: Removed
    cost: Cost
    sure: float | None

    @property
    def instead(self) -> tuple[Removed, Removed]:
        """The blocks that the source removes and the reference does not, and the other way round."""
        return tuple(sorted({*self.removed} - {*self.wanted})), tuple(sorted({*self.wanted} - {*self.removed}))


def choices(sources: Sources) -> tuple[Choice, ...]:
    """What each source removes, that of the recommendations first: all others are held against it.

    Without a file of recommendations the study's stepwise rule recommends; without results the family does, or else the
    first file of scores.
    """
    found = [_recommended(one) for one in sources.recommendations]
    if not found and sources.study is not None:
        steps = chosen_by(sources.study, STEPWISE, protected=sources.protected, min_datasets=2)
        sets = {len(one.removed): one.removed for one in steps}
        found.append(Choice(source=f"{sources.study.source} ({STEPWISE})", sets=sets, refusals={}))
    if sources.manifest is not None:
        variants = {len(one.removed): one.removed for one in reversed(sources.manifest.variants) if one.removed}
        found.append(Choice(source="the family", sets=variants, refusals={}))
    wanted = sorted({size for one in found for size in one.sets}) or [1, 2, 3, 4]
    return (*found, *(_scored(one, sources, wanted) for one in sources.importances))


def _recommended(one: Recommendations) -> Choice:
    return Choice(source=one.file, sets={len(step.blocks): step.blocks for step in one.steps}, refusals={})


def _scored(one: Importance, sources: Sources, wanted: Sequence[int]) -> Choice:
    """What the lowest scores remove, as the exporter would."""
    sets, refusals = {}, {}
    for size in wanted:
        try:
            selection = choose_blocks(
                one, blocks=sources.blocks, protected=sources.protected, depths=(sources.blocks - size,)
            )
            sets[size] = selection.removals[0].removed
        except PlanError as error:
            refusals[size] = str(error)
    return Choice(source=one.file, sets=sets, refusals=refusals)


def disagreements(found: Sequence[Choice], study: Study | None, protected: Sequence[int]) -> tuple[Disagreement, ...]:
    """Where other sources do not remove what the first one does."""
    if not found:
        return ()
    first, others = found[0], found[1:]
    pairs = [
        (size, other)
        for size in sorted(first.sets)
        for other in others
        if size in other.sets and other.sets[size] != first.sets[size]
    ]
    named = dict.fromkeys(removed for size, other in pairs for removed in (first.sets[size], other.sets[size]))
    estimates = _estimated(study, list(named), protected)
    return tuple(_disagreement(size, first, other, study, estimates) for size, other in pairs)


def _estimated(study: Study | None, named: Sequence[Removed], protected: Sequence[int]) -> Estimates | None:
    if study is None or not named:
        return None
    return estimate(fit_study(study, protected=protected), named)


def _disagreement(
    size: int, first: Choice, other: Choice, study: Study | None, estimates: Estimates | None
) -> Disagreement:
    wanted, removed = first.sets[size], other.sets[size]
    known = {one.removed: one for one in (() if study is None else study.combinations)}
    cost = {
        one: Cost(measured=known.get(one), estimate=None if estimates is None else estimates.interval(one))
        for one in (wanted, removed)
    }
    return Disagreement(
        size=size,
        reference=first.source,
        wanted=wanted,
        wanted_cost=cost[wanted],
        source=other.source,
        removed=removed,
        cost=cost[removed],
        sure=None if estimates is None else estimates.lower(wanted, removed),
    )


def unknown(found: Sequence[Choice]) -> Iterator[str]:
    """Sentences on what the sources cannot tell."""
    for one in found:
        for reason in dict.fromkeys(one.refusals.values()):
            told = ", ".join(str(size) for size, text in one.refusals.items() if text == reason)
            yield f"{one.source}: cannot tell which {told} to remove: {reason}"
