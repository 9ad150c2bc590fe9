"""Which scores of a baseline a request is about, and refusals of a baseline that does not go with the family."""

from collections.abc import Sequence

from profiles.accuracy.evaluation.evaluate import family_record
from profiles.accuracy.gate.gate_request import GateRequest, ScoreChoice
from profiles.errors import MeasurementError
from runtime.documents.baseline import ONNX, Baseline, ScoreRecord

Form = tuple[str, str]
"""An engine and a dtype."""


def asked_scores(request: GateRequest, baseline: Baseline) -> tuple[ScoreRecord, ...]:
    """The baseline's scores that the measured ones will be compared with. Raises MeasurementError when there are
    none."""
    choice = request.choice
    others = choice.variants if choice.against is None else (choice.against,)
    forms = {against for _, against in compared_forms(baseline, choice)}
    scores = tuple(
        one for one in baseline.scores if (one.engine, one.dtype) in forms and (not others or one.variant in others)
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


def compared_forms(baseline: Baseline, choice: ScoreChoice) -> tuple[tuple[Form, Form], ...]:
    """Each form that is measured, with the baseline's that it is compared with: the same one, else what the choice
    names or the only one there is. Raises MeasurementError where that leaves several."""
    same = scored_forms(baseline, choice)
    named = choice.against_engine is not None or choice.against_dtype is not None
    lacking = [one for one in choice.dtypes if one not in {dtype for _, dtype in same}]
    if not named and not lacking and (same or choice.engine is None):
        return tuple((form, form) for form in same)
    other = _against(baseline, choice)
    dtypes = (choice.dtypes or (other[1],)) if named else lacking or (other[1],)
    crossed = [((choice.engine or (other[0] if one == other[1] else ONNX), one), other) for one in dtypes]
    return (*(() if named else ((form, form) for form in same)), *crossed)


def _against(baseline: Baseline, choice: ScoreChoice) -> Form:
    """The one form of the baseline that others are compared with."""
    there = dict.fromkeys((one.engine, one.dtype) for one in baseline.scores)
    found = [
        form for form in there if choice.against_engine in (None, form[0]) and choice.against_dtype in (None, form[1])
    ]
    if len(found) != 1:
        have = ", ".join(" ".join(form) for form in there) or "no scores"
        raise MeasurementError(
            f"the baseline has {have}: say with --against-engine and --against-dtype which of them "
            f"{choice.form or 'the family'} is compared with"
        )
    return found[0]


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
