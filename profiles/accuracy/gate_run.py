"""Running the gate: measure as the baseline was measured where needed, pair, compare, and put the outcome into
words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from profiles.accuracy.evaluate import EvalProgress, EvalRequest, evaluate, family_record
from profiles.accuracy.gate import FAIL, PASS, UNKNOWN, Limits, compare, worst_verdict
from profiles.accuracy.gate_pairs import Stored, pair_scores
from profiles.accuracy.openers import open_engines
from profiles.accuracy.study_check import NOT_MEASURED, check_document, check_family, show_checks
from profiles.accuracy.study_drops import FORMAT as STUDY_FORMAT
from profiles.accuracy.study_drops import read_study_drops
from profiles.datasets.dataset import Dataset, Settings
from profiles.datasets.digits.dataset import DEMO_TASKS
from profiles.datasets.named import Changes, load_named
from profiles.errors import MeasurementError
from profiles.reports.gate_table import comparison_document, decided, show_comparisons
from profiles.sample import digest_samples
from runtime.documents.baseline import ONNX, Baseline, ScoreRecord, read_baseline
from runtime.documents.checked_json import read_document
from runtime.documents.manifest import Manifest

_DETECT_ABOVE_TOLERANCE = 0.02
_SEVERITY = (PASS, NOT_MEASURED, UNKNOWN, FAIL)


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitOptions:
    """Tolerance and drop to detect as fractions, for all data sets and by name; None means the default."""

    tolerance: float | None = None
    tolerances: Mapping[str, float] = field(default_factory=dict)
    detect: float | None = None
    detects: Mapping[str, float] = field(default_factory=dict)
    alpha: float = 0.05
    power: float = 0.9

    def of(self, dataset: str | None) -> Limits:
        """The limits of a data set; None gives those of data sets that are not named."""
        tolerance = self.tolerances.get(dataset or "", self.tolerance or 0.0)
        detect = self.detects.get(
            dataset or "", tolerance + _DETECT_ABOVE_TOLERANCE if self.detect is None else self.detect
        )
        return Limits(tolerance=tolerance, detect=detect, alpha=self.alpha, power=self.power)

    @property
    def names(self) -> frozenset[str]:
        """The data sets named."""
        return frozenset((*self.tolerances, *self.detects))


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRequest:
    """What to judge by what. `other_model`: the baseline may be of another checkpoint than the family."""

    family: Path
    manifest: Manifest
    baseline: Path
    measured: Path
    variants: tuple[str, ...]
    engine: str | None
    against: str | None
    limits: LimitOptions
    other_model: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The verdict with its reasons, as text and as JSON fields."""

    verdict: str
    text: str
    document: dict[str, Any]


def measure_like(request: GateRequest, data: Sequence[str], columns: Mapping[str, str], progress: EvalProgress) -> None:
    """Measure the family on the baseline's data sets, with its prompts, metrics and engines, into the file
    `request.measured`.

    The demo's data sets need no --data. Raises MeasurementError when the baseline has no score that was asked for or is
    of another model, and when a data set was not given or has other samples.
    """
    if is_study(request.baseline):
        raise MeasurementError(
            f"{request.measured}: missing; the study's drops need the family measured first: trimoe eval … --out "
            f"{request.measured}"
        )
    baseline = read_baseline(request.baseline)
    _model_note(request, baseline)
    variants = _variants(request, baseline)
    scores = _asked_scores(request, baseline)
    wanted = {score.dataset.name: score for score in scores}
    names = tuple(data) + tuple(
        name for name in wanted if name in DEMO_TASKS and not any(text in ("demo", name) for text in data)
    )
    loaded = {dataset.name: dataset for dataset in load_named(names, Changes(columns=dict(columns)))}
    for name in wanted:
        if name not in loaded:
            raise MeasurementError(f"the baseline has {name}; say where it is: --data {name}=PATH")
    engines = tuple(dict.fromkeys(score.engine for score in scores))
    dtypes = tuple(dict.fromkeys(score.dtype for score in scores if score.engine == ONNX))
    evaluate(
        EvalRequest(
            family=family_record(request.manifest),
            variants=variants,
            engines=open_engines(engines, request.family, request.manifest, dtypes=dtypes),
            datasets=tuple(_as_measured(loaded[name], score) for name, score in wanted.items()),
            batch_size=max(score.decoding.batch_size for score in scores),
        ),
        request.measured,
        progress,
    )


def _asked_scores(request: GateRequest, baseline: Baseline) -> tuple[ScoreRecord, ...]:
    """The baseline's scores that the measured ones will be compared with."""
    others = request.variants if request.against is None else (request.against,)
    scores = tuple(
        one for one in baseline.scores if request.engine in (None, one.engine) and (not others or one.variant in others)
    )
    if not scores:
        raise MeasurementError(f"{request.baseline}: {_no_scores(baseline, others, request.engine)}")
    return scores


def _as_measured(dataset: Dataset, score: ScoreRecord) -> Dataset:
    """The data set cut and asked as the baseline has it."""
    settings = Settings(
        task=score.dataset.task,
        metric=score.definition.metric,
        cleanup=score.definition.cleanup,
        prompt=score.decoding.prompt,
        max_new_tokens=score.decoding.max_new_tokens,
    )
    cut = replace(dataset.limited(score.dataset.samples), settings=settings)
    if digest_samples(cut.samples) != score.dataset.digest:
        raise MeasurementError(
            f"{dataset.name}: not the baseline's samples (sha256 {score.dataset.digest[:12]}…): another version, "
            "split or order"
        )
    return cut


def _variants(request: GateRequest, baseline: Baseline) -> tuple[str, ...]:
    """The variants to judge; each must be in the family."""
    chosen = request.variants or tuple(dict.fromkeys(score.variant for score in baseline.scores))
    return tuple(request.manifest.variant(variant).id for variant in chosen)


def run_gate(request: GateRequest) -> Outcome:
    """The outcome for every variant and engine.

    Raises MeasurementError for measurements of another family, a baseline of another model, and what cannot be paired.
    """
    measured = Stored(baseline=read_baseline(request.measured), folder=request.measured.parent)
    digest = family_record(request.manifest).digest
    if measured.baseline.family.digest != digest:
        raise MeasurementError(
            f"{request.measured}: measured another family (digest {measured.baseline.family.digest[:12]}…, "
            f"{request.family} has {digest[:12]}…)"
        )
    return _study_outcome(request, measured) if is_study(request.baseline) else _paired_outcome(request, measured)


def describe_measured(path: Path) -> str:
    """What a baseline that is there already was made of, and when its file was written: a line for who wonders why
    nothing is measured."""
    baseline, written = read_baseline(path), datetime.fromtimestamp(path.stat().st_mtime, UTC)
    forms = ", ".join(dict.fromkeys(f"{score.engine} {score.dtype}" for score in baseline.scores))
    software = ", ".join(f"{name} {version}" for name, version in baseline.software.items())
    made = f"written {written:%Y-%m-%d %H:%M} UTC by trimoe {baseline.trimoe}, scores by {forms or 'nothing'}"
    return f"{path}: exists, so nothing is measured: {made} ({software}); remove the file to measure again"


def _model_note(request: GateRequest, baseline: Baseline) -> str | None:
    """That the baseline is of another model, where that was asked for; None where it is of the family's. Raises
    MeasurementError where it was not."""
    theirs, mine = baseline.family, family_record(request.manifest)
    if theirs.source_digest == mine.source_digest:
        return None
    note = (
        f"of another model, {theirs.name} (checkpoint digest {theirs.source_digest[:12]}…), not {mine.name} "
        f"({mine.source_digest[:12]}…)"
    )
    if not request.other_model:
        raise MeasurementError(f"{request.baseline}: {note}; --other-model compares the two on the same samples")
    return f"the baseline is {note}"


def is_study(path: Path) -> bool:
    """Whether the file holds the drops of a study instead of a baseline. Raises DocumentError."""
    return read_document(path).require("format").string() == STUDY_FORMAT


def _paired_outcome(request: GateRequest, measured: Stored) -> Outcome:
    stored = Stored(baseline=read_baseline(request.baseline), folder=request.baseline.parent)
    note = _model_note(request, stored.baseline)
    names = {score.dataset.name for score in stored.baseline.scores}
    unknown = request.limits.names - names
    if unknown:
        raise MeasurementError(
            f"the baseline has no data set {', '.join(sorted(unknown))}; it has {', '.join(sorted(names))}"
        )
    limits = {name: request.limits.of(name) for name in names}
    verdicts, texts, parts = [], [], []
    for engine, dtype in dict.fromkeys(
        (one.engine, one.dtype) for one in stored.baseline.scores if request.engine in (None, one.engine)
    ):
        for variant in _variants(request, stored.baseline):
            pairs = pair_scores(
                stored, measured, variant=variant, engine=engine, dtype=dtype, against=request.against, limits=limits
            )
            comparisons = compare(pairs)
            verdicts.append(worst_verdict(comparisons))
            texts.append(
                show_comparisons(f"{variant} ({engine} {dtype}) against {request.against or variant}", comparisons)
            )
            parts.append(
                {
                    "variant": variant,
                    "engine": engine,
                    "dtype": dtype,
                    "against": request.against or variant,
                    "verdict": verdicts[-1],
                    "reason": decided(comparisons),
                    "comparisons": [comparison_document(one) for one in comparisons],
                }
            )
    return _outcome(verdicts, texts, parts, str(request.baseline), note=note)


def _outcome(
    verdicts: Sequence[str],
    texts: Sequence[str],
    parts: Sequence[Mapping[str, Any]],
    baseline: str,
    *,
    note: str | None = None,
) -> Outcome:
    if not verdicts:
        raise MeasurementError(f"{baseline}: nothing in it can be compared with what was measured")
    verdict = max(verdicts, key=_SEVERITY.index)
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in _SEVERITY if one in verdicts)
    text = (
        (f"{note}\n\n" if note else "")
        + "\n".join(texts)
        + (f"\n{verdict} ({counts})\n" if len(verdicts) > 1 else f"\n{verdict}\n")
    )
    return Outcome(verdict=verdict, text=text, document={"verdict": verdict, "note": note, "parts": list(parts)})


def _study_outcome(request: GateRequest, measured: Stored) -> Outcome:
    """The study's drops checked for each engine and dtype that was measured."""
    study, variants = (
        read_study_drops(request.baseline),
        tuple(request.manifest.variant(variant).id for variant in request.variants),
    )
    pairs = dict.fromkeys(
        (one.engine, one.dtype) for one in measured.baseline.scores if request.engine in (None, one.engine)
    )
    if not pairs:
        raise MeasurementError(f"{request.measured}: {_no_scores(measured.baseline, (), request.engine)}")
    verdicts, texts, parts = [], [], []
    for engine, dtype in pairs:
        limits = request.limits.of(None)
        checks = check_family(
            study, request.manifest, measured, variants=variants, engine=engine, dtype=dtype, limits=limits
        )
        verdicts += [check.verdict for check in checks]
        texts.append(show_checks(f"{engine} {dtype}: mean drop from the whole model", checks))
        parts += [{"engine": engine, "dtype": dtype, **check_document(check)} for check in checks]
    return _outcome(verdicts, texts, parts, str(request.baseline))


def _no_scores(baseline: Baseline, variants: Sequence[str], engine: str | None) -> str:
    """That nothing of the variants and the engine is there, and what is."""
    asked = ", ".join(variants) + (f" by {engine}" if engine else "")
    have = dict.fromkeys(f"{score.variant} ({score.engine} {score.dtype})" for score in baseline.scores)
    return f"no scores{' of ' if variants else ''}{asked}; it has {', '.join(have) or 'none at all'}"
