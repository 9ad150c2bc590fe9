"""The gate's outcome as text and as a JSON document."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from profiles.accuracy.gate.run_gate import SEVERITY, Outcome, PairedPart, StudyPart
from profiles.reports.gate_table import comparison_document, decided, show_comparisons
from profiles.reports.study_table import check_document, show_checks
from runtime.documents.baseline import read_baseline


def show_outcome(outcome: Outcome, *, width: int | None) -> str:
    """The note, a table a part, and the verdict over all, with how often each occurs where there are several.
    Lines of tables have at most `width` columns (None: nothing is wrapped)."""
    verdicts = outcome.verdicts
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in SEVERITY if one in verdicts)
    head = f"{outcome.note}\n\n" if outcome.note else ""
    last = f"{outcome.verdict} ({counts})" if len(verdicts) > 1 else outcome.verdict
    return head + "\n".join(_show_part(part, width) for part in outcome.parts) + f"\n{last}\n"


def _show_part(part: PairedPart | StudyPart, width: int | None) -> str:
    if isinstance(part, StudyPart):
        return show_checks(f"{part.engine} {part.dtype}: mean drop from the whole model", part.checks, width=width)
    title = f"{part.subject} against {part.against}"
    return show_comparisons(title, part.comparisons, width=width, notes=part.notes)


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON fields."""
    parts = [fields for part in outcome.parts for fields in _part_documents(part)]
    return {"verdict": outcome.verdict, "note": outcome.note, "parts": parts}


def _part_documents(part: PairedPart | StudyPart) -> list[dict[str, Any]]:
    """One object a variant, or one a check of a study's drop."""
    if isinstance(part, StudyPart):
        return [{"engine": part.engine, "dtype": part.dtype, **check_document(check)} for check in part.checks]
    return [
        {
            **part.subject._asdict(),
            "against": part.against._asdict(),
            "notes": list(part.notes),
            "verdict": part.verdicts[0],
            "reason": decided(part.comparisons),
            "comparisons": [comparison_document(one) for one in part.comparisons],
        }
    ]


def describe_measured(path: Path) -> str:
    """What a baseline that is there already was made of, and when its file was written: a line for who wonders why
    nothing is measured. Raises DocumentError."""
    baseline, written = read_baseline(path), datetime.fromtimestamp(path.stat().st_mtime, UTC)
    forms = ", ".join(dict.fromkeys(f"{score.engine} {score.dtype}" for score in baseline.scores))
    software = ", ".join(f"{name} {version}" for name, version in baseline.software.items())
    made = f"written {written:%Y-%m-%d %H:%M} UTC by trimoe {baseline.trimoe}, scores by {forms or 'nothing'}"
    return f"{path}: exists, so nothing is measured: {made} ({software}); remove the file to measure again"
