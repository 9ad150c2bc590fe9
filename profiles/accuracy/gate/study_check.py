"""Checking a family's measured drops against those that the study reports: what can be compared, and what cannot, with
the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiles.accuracy.gate.compare import FAIL, PASS, UNKNOWN, Pair
from profiles.accuracy.gate.limits import Limits
from profiles.accuracy.gate.pairs import Stored, pair_of, scores_of
from profiles.accuracy.statistics import Values, largest_change, resampled_moments
from profiles.accuracy.study_drops import StudyDrop, StudyDrops
from profiles.errors import MeasurementError
from runtime.documents.manifest import Manifest, VariantRecord

NOT_MEASURED = "not measured"
RESAMPLES = 10_000
SEED = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """A measured mean drop over `datasets` with its bootstrap interval over samples, as fractions."""

    datasets: tuple[str, ...]
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DropCheck:
    """A reported drop beside the measured one; without one, `verdict` is *not measured* and `reason` says why."""

    variant: str
    claim: StudyDrop
    drop: Drop | None
    verdict: str
    reason: str = ""


def check_family(
    study: StudyDrops,
    manifest: Manifest,
    measured: Stored,
    *,
    variants: Sequence[str],
    engine: str,
    dtype: str,
    limits: Limits,
) -> tuple[DropCheck, ...]:
    """Every reported drop whose removed blocks a variant has, with the source's top_k, against the variant that lacks
    none.

    `variants` are the ids to check, none meaning all. Raises MeasurementError when the family has no variant that lacks
    no block.
    """
    uniform = [v for v in manifest.variants if v.top_k is None or set(v.top_k) == {manifest.source.top_k}]
    whole = next((variant for variant in uniform if not variant.removed), None)
    if whole is None:
        raise MeasurementError(
            "the family has no variant with all blocks and the source's top_k, which drops are measured from"
        )
    claims = {claim.removed: claim for claim in study.drops}
    stranger = _other_model(study, manifest, whole)
    checks = []
    for variant in uniform:
        if variant.removed not in claims or (variants and variant.id not in variants):
            continue
        claim = claims[variant.removed]
        try:
            if stranger:
                raise MeasurementError(stranger)
            pairs = _pairs(measured, whole.id, variant.id, engine=engine, dtype=dtype, names=_named(study, claim))
            drop, verdict = check_drop(claim, pairs, limits)
            checks.append(DropCheck(variant=variant.id, claim=claim, drop=drop, verdict=verdict))
        except MeasurementError as error:
            checks.append(
                DropCheck(variant=variant.id, claim=claim, drop=None, verdict=NOT_MEASURED, reason=str(error))
            )
    return tuple(checks)


def _other_model(study: StudyDrops, manifest: Manifest, whole: VariantRecord) -> str | None:
    """Why the family is not cut from the study's model; None when it is. Names of folders say nothing, so they are not
    compared."""
    source = manifest.source
    if source.synthetic:
        return f"the study measured {study.model}, this family has random weights"
    for what, mine, theirs in (
        ("family", source.architecture, study.architecture),
        ("blocks", source.blocks, study.blocks),
        ("parameters", whole.parameters, study.parameters),
    ):
        if mine != theirs:
            return (
                f"the study measured {study.model} ({what}: {theirs}), this family was cut from another model "
                f"({what}: {mine})"
            )
    return None


def _named(study: StudyDrops, claim: StudyDrop) -> tuple[str, ...]:
    """The data sets that a claim may be over: those it names, else all of the study's."""
    return claim.datasets if claim.datasets is not None else tuple(study.metrics)


def _pairs(
    stored: Stored, whole: str, pruned: str, *, engine: str, dtype: str, names: Sequence[str]
) -> dict[str, Pair]:
    """Of the data sets `names`, those on which both variants were measured. Raises MeasurementError when the samples
    are not the same."""
    before, now = (scores_of(stored.baseline, variant, engine, dtype) for variant in (whole, pruned))
    if not before:
        raise MeasurementError(
            f"the whole model, {whole} (no blocks removed), must be measured by {engine} {dtype} too"
        )
    if not now:
        raise MeasurementError(f"{pruned} must be measured by {engine} {dtype}")
    common = [name for name in names if name in before and name in now]
    return {name: pair_of(stored, stored, before[name], now[name], Limits(), whose=f"{whole}'s") for name in common}


def check_drop(claim: StudyDrop, pairs: Mapping[str, Pair], limits: Limits) -> tuple[Drop, str]:
    """The drop from the whole model to the pruned one, and whether it is at most the study's mean drop plus the
    tolerance.

    `pairs`: the whole model's scores and the pruned one's, by data set. The study gives no drops by data set, so only
    the mean over data sets can be compared. *fail*: the whole interval (level 1 − 2α) lies above the limit; *pass*: the
    whole interval lies at or below it; else there are not enough samples to tell. Raises MeasurementError when the data
    sets are not those that the study names, or not as many.
    """
    names = tuple(pairs) if claim.datasets is None else claim.datasets
    missing = [name for name in names if name not in pairs]
    if missing:
        raise MeasurementError(f"the study's drop is over {', '.join(names)}; not measured: {', '.join(missing)}")
    if len(names) != claim.count:
        have = f"{len(names)} ({', '.join(names)})" if names else "none"
        raise MeasurementError(
            f"the study's drop is over {claim.count} data sets, of the study's data sets measured: {have}"
        )
    drops = [-pairs[name].changes for name in names]
    means = np.mean([_resampled(values, index) for index, values in enumerate(drops)], axis=0)
    low, high = (float(value) for value in np.quantile(means, [limits.alpha, 1 - limits.alpha]))
    limit = claim.mean + limits.tolerance
    drop = Drop(datasets=names, mean=float(np.mean([values.mean() for values in drops])), low=low, high=high)
    return drop, FAIL if low > limit else PASS if high <= limit else UNKNOWN


def _resampled(drops: Values, index: int) -> Values:
    """Means of resamples, by a seed of its own for each data set, so that they stay independent of each other.

    Drops that are all the same would look certain however few they are: as in the gate's bounds, a sample that got
    wholly worse and one that got wholly better are added then.
    """
    if drops.size and drops.min() == drops.max():
        drops = np.append(drops, [largest_change(drops), -largest_change(drops)])
    means, _ = resampled_moments(drops, resamples=RESAMPLES, seed=(SEED, index))
    return means
