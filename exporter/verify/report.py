"""What a verification found: named checks with an outcome, as a table and as a JSON document."""

from dataclasses import dataclass
from typing import Any

from msgspec import structs

from runtime.documents.check import FAILED, PASSED, SKIPPED, Check
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped

COLUMNS = (Column(head="check"), Column(head="result"), Column(head="detail", wraps=True))
FORMAT = "trimoe.verification"
VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All checks of a family, in the order in which they were made."""

    folder: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(check.outcome == FAILED for check in self.checks)


def show_report(report: Report, *, width: int | None) -> str:
    """The table: check, result, detail, in lines of at most `width` columns (None: nothing is wrapped). Variants with
    the same outcome and detail share a row."""
    rows: dict[tuple[str, str, str], list[str | None]] = {}
    for check in report.checks:
        rows.setdefault((check.name, check.outcome, check.detail), []).append(check.variant)
    cells = [(name, outcome, _detail(detail, who)) for (name, outcome, detail), who in rows.items()]
    counts = ", ".join(
        f"{n} {outcome}"
        for outcome in (PASSED, FAILED, SKIPPED)
        if (n := sum(c.outcome == outcome for c in report.checks))
    )
    verdict = "NOT verified" if report.failed else "verified"
    total = wrapped(f"{report.folder}: {verdict} ({counts})", width)
    return "\n".join([show_table(COLUMNS, cells, width=width), "", *total])


def _detail(detail: str, variants: list[str | None]) -> str:
    named = [variant for variant in variants if variant is not None]
    if not named:
        return detail
    return f"{named[0]}: {detail}" if len(named) == 1 else f"{len(named)} variants: {detail}"


def report_document(report: Report) -> dict[str, Any]:
    """The report as a JSON object with stable keys."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "folder": report.folder,
        "verified": not report.failed,
        "checks": [structs.asdict(check) for check in report.checks],
    }
