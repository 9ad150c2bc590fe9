"""Comparing a family with a baseline or a study's drops: every variant, engine and dtype, and the verdict over all."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from profiles.accuracy.evaluation.evaluate import family_record
from profiles.accuracy.gate.asked_scores import (
    asked_variants,
    compared_forms,
    describe_absence,
    note_other_model,
    scored_forms,
)
from profiles.accuracy.gate.compare import FAIL, PASS, UNKNOWN, Comparison, compare, worst_verdict
from profiles.accuracy.gate.differences import differences
from profiles.accuracy.gate.gate_request import GateRequest
from profiles.accuracy.gate.pairs import Stored, Subject, pair_scores
from profiles.accuracy.gate.study_check import NOT_MEASURED, DropCheck, check_family
from profiles.accuracy.study_drops import FORMAT as STUDY_FORMAT
from profiles.accuracy.study_drops import read_study_drops
from profiles.errors import MeasurementError
from runtime.documents.baseline import read_baseline
from runtime.documents.checked_json import read_document

SEVERITY = (PASS, NOT_MEASURED, UNKNOWN, FAIL)
"""The verdicts, the worst last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedPart:
    """One variant in one form beside the baseline's, a comparison a data set; `notes` say what else differs between the
    two measurements."""

    subject: Subject
    against: Subject
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The verdict, that of the worst data set."""
        return (worst_verdict(self.comparisons),)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyPart:
    """One engine and dtype, a check a reported drop of the study."""

    engine: str
    dtype: str
    checks: tuple[DropCheck, ...]

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The verdict of each check."""
        return tuple(check.verdict for check in self.checks)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """All that was compared, at least one verdict; `note` says what a reader has to know of the baseline."""

    parts: tuple[PairedPart | StudyPart, ...]
    note: str | None = None

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The verdicts of all parts."""
        return tuple(verdict for part in self.parts for verdict in part.verdicts)

    @property
    def verdict(self) -> str:
        """The worst of them."""
        return max(self.verdicts, key=SEVERITY.index)


def is_study(path: Path) -> bool:
    """Whether the file holds the drops of a study instead of a baseline. Raises DocumentError."""
    return read_document(path).require("format").string() == STUDY_FORMAT


def run_gate(request: GateRequest) -> Outcome:
    """The outcome for every variant, engine and dtype that was asked for.

    Raises MeasurementError for measurements of another family, a baseline of another model, what cannot be paired, and
    when nothing can be compared.
    """
    measured = Stored(baseline=read_baseline(request.measured), folder=request.measured.parent)
    digest = family_record(request.manifest).digest
    if measured.baseline.family.digest != digest:
        raise MeasurementError(
            f"{request.measured}: measured another family (digest {measured.baseline.family.digest[:12]}…, "
            f"{request.family} has {digest[:12]}…)"
        )
    outcome = _check_study(request, measured) if is_study(request.baseline) else _compare_baseline(request, measured)
    if not outcome.verdicts:
        raise MeasurementError(f"{request.baseline}: nothing in it can be compared with what was measured")
    return outcome


def _compare_baseline(request: GateRequest, measured: Stored) -> Outcome:
    """Every variant, engine and dtype of the baseline against what was measured."""
    stored = Stored(baseline=read_baseline(request.baseline), folder=request.baseline.parent)
    note = note_other_model(request, stored.baseline)
    names = {score.dataset.name for score in stored.baseline.scores}
    unknown = request.limits.names - names
    if unknown:
        raise MeasurementError(
            f"the baseline has no data set {', '.join(sorted(unknown))}; it has {', '.join(sorted(names))}"
        )
    limits = {name: request.limits.of(name) for name in names}
    compared = [
        (Subject(variant, *form), Subject(request.choice.against or variant, *other))
        for form, other in compared_forms(stored.baseline, request.choice)
        for variant in asked_variants(request, stored.baseline)
    ]
    pairs = [pair_scores(stored, measured, subject=one, against=other, limits=limits) for one, other in compared]
    if not compared:
        raise MeasurementError(f"{request.baseline}: {describe_absence(stored.baseline, (), request.choice)}")
    comparisons = iter(compare([pair for each in pairs for pair in each]))
    parts = (
        PairedPart(
            subject=one,
            against=other,
            comparisons=tuple(islice(comparisons, len(each))),
            notes=differences(stored.baseline, measured.baseline, one, other),
        )
        for (one, other), each in zip(compared, pairs, strict=True)
    )
    return Outcome(parts=tuple(parts), note=note)


def _check_study(request: GateRequest, measured: Stored) -> Outcome:
    """The study's drops checked for each engine and dtype that was measured."""
    study = read_study_drops(request.baseline)
    variants = tuple(request.manifest.variant(variant).id for variant in request.choice.variants)
    forms = scored_forms(measured.baseline, request.choice)
    if not forms:
        raise MeasurementError(f"{request.measured}: {describe_absence(measured.baseline, (), request.choice)}")
    limits = request.limits.of(None)
    parts = (
        StudyPart(
            engine=engine,
            dtype=dtype,
            checks=check_family(
                study, request.manifest, measured, variants=variants, engine=engine, dtype=dtype, limits=limits
            ),
        )
        for engine, dtype in forms
    )
    return Outcome(parts=tuple(parts))
