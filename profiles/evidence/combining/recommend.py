"""Recommended combinations of a study, by every rule, each with what its drops are estimated to be over all data sets
and what speaks against it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.evidence.evidence import DEFAULT_MIN_DATASETS, INDEPENDENT, ROBUST, STEPWISE, show_blocks
from exporter.evidence.strategies import Steps
from profiles.errors import MeasurementError
from profiles.evidence.combining.combination import Combination, Removed, Study, sizes
from profiles.evidence.combining.effects.estimate import Estimates, LeftOut, estimate, leave_out
from profiles.evidence.combining.effects.fit import Effects, fit_effects
from profiles.evidence.combining.effects.observations import observe
from profiles.evidence.combining.rules import (
    ESTIMATED,
    PARETO,
    TOP,
    best,
    by_blocks,
    candidates,
    dominates,
    steps_of,
    undominated,
)
from runtime.text.counted import counted

RECOMMENDATIONS_FILE = "pruning_recommendations.json"
SURE = 0.9
"""How probable it has to be that another combination loses less, to say so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What is never removed, and how many data sets the rule "robust" asks for."""

    protected: tuple[int, ...] = (0,)
    min_datasets: int = DEFAULT_MIN_DATASETS


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendation:
    """A combination that a rule recommends: `rules` name those that do, the interval is that of its estimate."""

    combination: Combination
    rules: tuple[str, ...]
    estimate: tuple[float, float, float]
    remarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Recommended:
    """All recommendations of a study by number of removed blocks, in the order of their measured drops. `chosen` has
    the sets of each rule, ascending in size; `notes` what the rules say about their choices."""

    study: Study
    settings: Settings
    by_size: Mapping[int, tuple[Recommendation, ...]]
    chosen: Mapping[str, tuple[Combination, ...]]
    notes: tuple[str, ...]
    estimates: Estimates
    left_out: LeftOut


def fit_study(study: Study, *, protected: Sequence[int]) -> Effects:
    """The model of a study's drops, without the combinations that remove a protected block: what they lose is beyond
    what adds up. Raises MeasurementError where none is left."""
    usable = [one for one in study.combinations if one.removed and not set(one.removed) & set(protected)]
    if not usable:
        raise MeasurementError(f"{study.source}: no combination that removes a block which is not protected")
    return fit_effects(observe(usable, study.datasets, blocks=study.blocks))


def recommend(study: Study, settings: Settings) -> Recommended:
    """Recommendations by the rules of the study and by the estimates over all data sets.

    The rule "estimated" takes of each size the combination that was tried, with a mean drop of 0 or more, whose
    estimate is least. Raises MeasurementError for a protected block that the model does not have, and as `fit_study`
    does.
    """
    if max(settings.protected, default=0) >= study.blocks:
        raise MeasurementError(
            f"cannot protect block {max(settings.protected)}: the model has blocks 0–{study.blocks - 1}"
        )
    effects = fit_study(study, protected=settings.protected)
    estimates = estimate(effects, effects.seen.removed)
    steps = {
        rule: steps_of(study, rule, protected=settings.protected, min_datasets=settings.min_datasets)
        for rule in (STEPWISE, INDEPENDENT, ROBUST)
    }
    known = by_blocks(study)
    chosen = {rule: tuple(known[one.blocks] for one in found.sets) for rule, found in steps.items()}
    tried = [known[removed] for removed in estimates.places if known[removed].mean >= 0]
    chosen[ESTIMATED] = tuple(_estimated(tried, size, estimates)[0] for size in sizes(tried))
    by_size = {size: _of_size(study, settings, size, chosen, estimates) for size in sizes(tried)}
    return Recommended(
        study=study,
        settings=settings,
        by_size=by_size,
        chosen=chosen,
        notes=_notes(steps),
        estimates=estimates,
        left_out=leave_out(effects),
    )


def _notes(steps: Mapping[str, Steps]) -> tuple[str, ...]:
    return tuple(f"{rule}: {note}" for rule, found in steps.items() for note in found.notes)


def _estimated(tried: Sequence[Combination], size: int, estimates: Estimates) -> list[Combination]:
    """The combinations of a size, the least estimate first."""
    return sorted(
        (one for one in tried if len(one.removed) == size), key=lambda one: estimates.interval(one.removed)[0]
    )


def _of_size(
    study: Study, settings: Settings, size: int, chosen: Mapping[str, Sequence[Combination]], estimates: Estimates
) -> tuple[Recommendation, ...]:
    """Everything that some rule recommends of one size: the top five, the frontier, and what each rule chose."""
    pool = candidates(study, size, protected=settings.protected)
    named: dict[Removed, list[str]] = {}
    listed: list[tuple[str, Sequence[Combination]]] = [
        (rule, [one for one in found if len(one.removed) == size]) for rule, found in chosen.items()
    ]
    listed += [(f"top {TOP}", best(pool)), (PARETO, undominated(pool))]
    for rule, found in listed:
        for one in found:
            named.setdefault(one.removed, []).append(rule)
    known = by_blocks(study)
    return tuple(
        Recommendation(
            combination=one,
            rules=tuple(named[one.removed]),
            estimate=estimates.interval(one.removed),
            remarks=tuple(_remarks(one, pool, study, settings, estimates)),
        )
        for one in sorted((known[removed] for removed in named), key=lambda one: one.mean)
    )


def _remarks(
    one: Combination, pool: Sequence[Combination], study: Study, settings: Settings, estimates: Estimates
) -> Iterator[str]:
    """What speaks against a combination: little evidence, a combination that dominates it, one that is estimated to
    lose less, and a mean that owes to which data sets it was tried on."""
    if one.count < min(settings.min_datasets, len(study.datasets)):
        yield f"rests on {counted(one.count, 'data set')} of {len(study.datasets)}"
    stronger = [other for other in pool if dominates(other, one)]
    if stronger:
        other = min(stronger, key=lambda other: other.mean)
        yield f"dominated by {show_blocks(other.removed)}: {_said(other)}"
    mean, low, high = estimates.interval(one.removed)
    if not low <= one.mean <= high and one.count < len(study.datasets):
        side = "less" if one.mean < low else "more"
        yield f"measured where it loses {side}: over all data sets {_points(mean)} [{_points(low)}, {_points(high)}]"
    rival = _best_rival(one, estimates)
    if rival is not None:
        sure = f"{100 * estimates.lower(rival, one.removed):.0f} % sure"
        yield f"{show_blocks(rival)} is estimated to lose less, {_points(estimates.interval(rival)[0])} ({sure})"


def _best_rival(one: Combination, estimates: Estimates) -> Removed | None:
    """The combination of the same size with the least estimate, where it is surely better."""
    same = [removed for removed in estimates.places if len(removed) == len(one.removed)]
    rival = min(same, key=lambda removed: estimates.interval(removed)[0])
    return rival if rival != one.removed and estimates.lower(rival, one.removed) >= SURE else None


def _said(one: Combination) -> str:
    return f"{_points(one.mean)} ± {_points(one.std)} points on {one.count}"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def recommendations_document(found: Sequence[Combination]) -> dict[str, Any]:
    """The study's `pruning_recommendations.json` of sets of ascending size."""
    return {
        str(len(one.removed)): _step(one, None if number == 0 else found[number - 1])
        for number, one in enumerate(found)
    }


def _step(one: Combination, before: Combination | None) -> dict[str, Any]:
    fields = {
        "removed_blocks": list(one.removed),
        "avg_drop": one.mean,
        "std_drop": one.std,
        "num_datasets": one.count,
        "datasets": list(one.drops),
    }
    return fields if before is None else fields | {"incremental_drop": one.mean - before.mean}
