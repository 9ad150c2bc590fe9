"""Latency profiles, and what a fitted estimator knows of itself, as tables for people."""

from collections.abc import Sequence, Set
from itertools import groupby
from statistics import median

from profiles.latency.fit.transfer import Transfer
from runtime.documents.latency.estimator_document import HeldOut, LatencyEstimator
from runtime.documents.latency.profile_document import LatencyProfile, Point
from runtime.engines.stages import STAGES
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped

_PROFILE = (
    Column(head="engine"),
    Column(head="dtype"),
    Column(head="variant"),
    *(Column(head=stage, right=True) for stage in STAGES),
)
_ERRORS = (
    Column(head="stage"),
    *(Column(head=head, right=True) for head in ("points", "variants", "lengths", "batches", "bound", "holds")),
)
_TRANSFER = (
    Column(head="stage"),
    Column(head="way"),
    Column(head="before", right=True),
    Column(head="after", right=True),
)


def show_profile(profile: LatencyProfile, *, width: int | None) -> str:
    """A line a variant: the median of each stage over the loads and positions at which all variants of its engine and
    type were measured, so that lines can be compared; a dash where there are none."""
    rows = []
    for _, points in groupby(sorted(profile.points, key=_subject), key=lambda point: (point.engine, point.dtype)):
        found = tuple(points)
        shared = _shared(found)
        for key, own in groupby(found, key=_subject):
            counted = [point for point in own if _load(point) in shared]
            times = [[point.median_ms for point in counted if point.stage == stage] for stage in STAGES]
            rows.append((*key, *(f"{median(one):.3g}" if one else "–" for one in times)))
    device = profile.device
    title = (
        f"{profile.model.name} on {device.name}, {device.threads} threads: milliseconds, medians over the loads that "
        "all variants were measured at"
    )
    return "\n".join([*wrapped(title, width), show_table(_PROFILE, rows, width=width)]) + "\n"


def _shared(points: Sequence[Point]) -> Set[tuple[object, ...]]:
    """What all variants were measured at."""
    by_variant: dict[str, set[tuple[object, ...]]] = {}
    for point in points:
        by_variant.setdefault(point.variant, set()).add(_load(point))
    return set[tuple[object, ...]].intersection(*by_variant.values())


def _load(point: Point) -> tuple[object, ...]:
    return point.stage, point.batch, point.vision_tokens, point.text_tokens, point.position


def _subject(point: Point) -> tuple[str, str, str]:
    return point.engine, point.dtype, point.variant


def show_estimator(estimator: LatencyEstimator, *, width: int | None) -> str:
    """A line a stage: held-out errors in percent by what was left out, and the upper bound with how often it held."""
    rows = [
        (model.stage, str(model.points), *_errors(model.held_out), *_bound(model.bound, model.held_out))
        for model in estimator.stages
    ]
    if estimator.held_out:
        count = str(estimator.held_out[0].points)
        rows.append(("end to end", count, *_errors(estimator.held_out), *_bound(estimator.bound, estimator.held_out)))
    ranges = ", ".join(f"{one.name} {one.low:g}–{one.high:g}" for one in estimator.domain)
    title = f"{estimator.engine} {estimator.dtype} on {estimator.device}: mean error in percent on what was left out"
    lines = [*wrapped(title, width), show_table(_ERRORS, rows, width=width), *wrapped(f"fitted on {ranges}", width)]
    if any(one.by == "points" for model in estimator.stages for one in model.held_out):
        lines.append("*: points left out, where there is one variant only or the estimator was recalibrated")
    return "\n".join(lines) + "\n"


def _errors(held_out: Sequence[HeldOut]) -> tuple[str, str, str]:
    by = {one.by: one for one in held_out}
    shown = [f"{100 * by[name].mape:.1f}" if name in by else "–" for name in ("variant", "length", "batch")]
    if "points" in by:
        shown[0] = f"{100 * by['points'].mape:.1f}*"
    return shown[0], shown[1], shown[2]


def _bound(bound: float, held_out: Sequence[HeldOut]) -> tuple[str, str]:
    first = held_out[0] if held_out else None
    return f"× {bound:.3f}", "–" if first is None else f"{100 * first.coverage:.0f} %"


def show_transfer(found: Transfer, *, width: int | None) -> str:
    """How each stage was carried over, with its error before and after."""
    rows = [(one.stage, one.way, f"{100 * one.before:.1f}", f"{100 * one.after:.1f}") for one in found.stages]
    rows.append(("end to end", "", f"{100 * found.before:.1f}", f"{100 * found.after:.1f}"))
    title = "recalibrated: mean error in percent, after on points left out"
    return "\n".join([title, show_table(_TRANSFER, rows, width=width)]) + "\n"
