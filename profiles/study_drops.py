"""What the pruning study reports of MolmoE-1B: mean drops of accuracy by removed blocks, without per-sample scores; and checking them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from profiles.errors import MeasurementError
from profiles.gate import FAIL, PASS, UNKNOWN, Limits
from profiles.statistics import Values
from runtime.documents import Node, read_document

FORMAT = "trimoe.study-drops"
VERSION = 1
RESAMPLES = 10_000
SEED = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where a document's figures come from: its title, the sections they were copied from, and what is known of how they were measured."""

    title: str
    sections: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyDrop:
    """One reported drop, as a fraction: mean over `count` data sets and the population spread over them, both as printed.

    `datasets` are their names where the study gives them, `accuracy` the mean accuracy that remains, `places` the lists it appears in.
    """

    removed: tuple[int, ...]
    mean: float
    std: float | None
    count: int
    datasets: tuple[str, ...] | None
    accuracy: float | None
    places: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyDrops:
    """The document: drops of one model, and the metric of each data set."""

    model: str
    blocks: int
    provenance: Provenance
    metrics: tuple[tuple[str, str], ...]
    drops: tuple[StudyDrop, ...]


def read_study_drops(path: Path) -> StudyDrops:
    """Read and check a document. Raises DocumentError with the key path of what is wrong."""
    node = read_document(path)
    if node.require("format").string() != FORMAT:
        node.require("format").fail(f"expected {FORMAT!r}: these are not the drops of a study")
    version = node.require("version").integer()
    if version != VERSION:
        node.require("version").fail(f"this trimoe reads version {VERSION}, the file has {version}")
    blocks = node.require("blocks").integer(minimum=1)
    provenance = node.require("provenance")
    return StudyDrops(
        model=node.require("model").string(),
        blocks=blocks,
        provenance=Provenance(
            title=provenance.require("title").string(), sections=_texts(provenance.require("sections")), notes=_texts(provenance.require("notes"))
        ),
        metrics=tuple((name, node.require("metrics").require(name).string()) for name, _ in node.require("metrics").items()),
        drops=tuple(_drop(entry, blocks) for entry in node.require("drops").elements()),
    )


def _texts(node: Node) -> tuple[str, ...]:
    return tuple(entry.string() for entry in node.elements())


def _fraction(node: Node) -> float:
    value = node.number()
    if not -1 <= value <= 1:
        node.fail(f"{value} is not a fraction")
    return value


def _drop(node: Node, blocks: int) -> StudyDrop:
    std, datasets, accuracy = node.require("std"), node.require("datasets"), node.require("accuracy")
    drop = StudyDrop(
        removed=tuple(entry.integer(minimum=0, maximum=blocks - 1) for entry in node.require("removed").elements()),
        mean=_fraction(node.require("mean")),
        std=None if std.value is None else _fraction(std),
        count=node.require("count").integer(minimum=1),
        datasets=None if datasets.value is None else _texts(datasets),
        accuracy=None if accuracy.value is None else _fraction(accuracy),
        places=_texts(node.require("places")),
    )
    if list(drop.removed) != sorted(set(drop.removed)):
        node.require("removed").fail("expected distinct blocks in ascending order")
    if drop.datasets is not None and len(drop.datasets) != drop.count:
        datasets.fail(f"{len(drop.datasets)} names for {drop.count} data sets")
    return drop


@dataclass(frozen=True, kw_only=True, slots=True)
class DropCheck:
    """A reported drop beside the measured one with its bootstrap interval over samples (fractions); `verdict` of the comparison."""

    claim: StudyDrop
    datasets: tuple[str, ...]
    measured: float
    low: float
    high: float
    verdict: str


def check_drop(claim: StudyDrop, whole: Mapping[str, Values], pruned: Mapping[str, Values], limits: Limits) -> DropCheck:
    """Whether the mean drop over data sets, measured on paired samples, is at most the study's mean drop plus the tolerance.

    The study gives no drops by data set, so only the mean can be compared. *fail*: the whole interval (level 1 − 2α) lies above the limit;
    *pass*: the whole interval lies at or below it; else there are not enough samples to tell. Where the study names its data sets, all of
    them must have been measured: MeasurementError names those missing.
    """
    names = tuple(whole) if claim.datasets is None else claim.datasets
    missing = [name for name in names if name not in whole or name not in pruned]
    if missing or not names:
        raise MeasurementError(f"removed {list(claim.removed)}: the study's drop is over {', '.join(names)}; not measured: {', '.join(missing)}")
    means = np.mean([_resampled(whole[name] - pruned[name], index) for index, name in enumerate(names)], axis=0)
    low, high = (float(value) for value in np.quantile(means, [limits.alpha, 1 - limits.alpha]))
    limit = claim.mean + limits.tolerance
    return DropCheck(
        claim=claim,
        datasets=names,
        measured=float(np.mean([(whole[name] - pruned[name]).mean() for name in names])),
        low=low,
        high=high,
        verdict=FAIL if low > limit else PASS if high <= limit else UNKNOWN,
    )


def _resampled(drops: Values, index: int) -> Values:
    """Means of resamples, unsorted, so that data sets stay independent of each other."""
    rng = np.random.default_rng((SEED, index))
    unique, counts = np.unique(drops, return_counts=True)
    if len(unique) <= 64:
        means: Values = rng.multinomial(drops.size, counts / drops.size, size=RESAMPLES) @ unique / drops.size
        return means
    return np.array([drops[rng.integers(drops.size, size=drops.size)].mean() for _ in range(RESAMPLES)])


def show_checks(checks: Sequence[DropCheck]) -> str:
    """A line a reported drop, in points."""
    lines = [f"  {'removed':<14} {'study':>6} {'spread':>6} {'sets':>4} {'now':>6} {'interval':<16} verdict"]
    for check in checks:
        claim = check.claim
        spread = "" if claim.std is None else f"{100 * claim.std:.2f}"
        interval = f"[{100 * check.low:.2f}, {100 * check.high:.2f}]"
        removed = ",".join(map(str, claim.removed))
        figures = f"{100 * claim.mean:>6.2f} {spread:>6} {claim.count:>4} {100 * check.measured:>6.2f}"
        lines.append(f"  {removed:<14} {figures} {interval:<16} {check.verdict}")
    return "\n".join(lines) + "\n"
