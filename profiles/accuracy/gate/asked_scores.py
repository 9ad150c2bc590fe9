"""Which scores of a baseline a request is about, and refusals of a baseline that does not go with the family."""

from collections.abc import Sequence

from profiles.accuracy.evaluation.evaluate import family_record
from profiles.accuracy.gate.gate_request import GateRequest, ScoreChoice
from profiles.errors import MeasurementError
from runtime.documents.baseline import Baseline, ScoreRecord


def asked_scores(request: GateRequest, baseline: Baseline) -> tuple[ScoreRecord, ...]:
    """The baseline's scores that the measured ones will be compared with. Raises MeasurementError when there are
    none."""
    choice = request.choice
    others = choice.variants if choice.against is None else (choice.against,)
    scores = tuple(
        one for one in baseline.scores if choice.asks(one.engine, one.dtype) and (not others or one.variant in others)
    )
    if not scores:
        raise MeasurementError(f"{request.baseline}: {describe_absence(baseline, others, choice)}")
    return scores


def asked_variants(request: GateRequest, baseline: Baseline) -> tuple[str, ...]:
    """The variants to compare; each must be in the family. Raises what `Manifest.variant` raises."""
    chosen = request.choice.variants or tuple(dict.fromkeys(score.variant for score in baseline.scores))
    return tuple(request.manifest.variant(variant).id for variant in chosen)


def scored_forms(baseline: Baseline, choice: ScoreChoice) -> tuple[tuple[str, str], ...]:
    """Each engine and dtype asked for that the baseline has scores of."""
    forms = dict.fromkeys((one.engine, one.dtype) for one in baseline.scores)
    return tuple(form for form in forms if choice.asks(*form))


def note_other_model(request: GateRequest, baseline: Baseline) -> str | None:
    """That the baseline is of another model, where that was asked for; None where it is of the family's. Raises
    MeasurementError where it was not."""
    theirs, mine = baseline.family, family_record(request.manifest)
    if theirs.source_digest == mine.source_digest:
        return None
    note = (
        f"of another model, {theirs.name} (checkpoint digest {theirs.source_digest[:12]}…), not {mine.name} "
        f"({mine.source_digest[:12]}…)"
    )
    if not request.choice.other_model:
        raise MeasurementError(f"{request.baseline}: {note}; --other-model compares the two on the same samples")
    return f"the baseline is {note}"


def describe_absence(baseline: Baseline, variants: Sequence[str], choice: ScoreChoice) -> str:
    """That nothing of the variants and what was asked for is there, and what is."""
    asked = ", ".join(variants) + (f" by {choice.form}" if choice.form else "")
    have = dict.fromkeys(f"{score.variant} ({score.engine} {score.dtype})" for score in baseline.scores)
    return f"no scores{' of ' if variants else ''}{asked}; it has {', '.join(have) or 'none at all'}"
