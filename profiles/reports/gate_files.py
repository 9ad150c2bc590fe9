"""The gate's outcome as a file for people, for programs that show test results, and for other programs."""

import json
from collections.abc import Iterator
from itertools import islice
from xml.etree import ElementTree

from profiles.accuracy.gate.compare import FAIL, PASS, UNKNOWN, Comparison
from profiles.accuracy.gate.flips import Flip, flips
from profiles.accuracy.gate.gate_request import GateRequest
from profiles.accuracy.gate.pairs import Stored
from profiles.accuracy.gate.run_gate import Outcome, PairedPart, StudyPart
from profiles.accuracy.gate.study_check import DropCheck
from profiles.reports.gate_report import outcome_document, show_outcome
from profiles.reports.gate_table import decided
from profiles.reports.score_table import points
from runtime.documents.baseline import read_baseline

MOST_FLIPS = 200
"""So many samples that changed are shown a variant; how many there were is said."""


def report_bytes(outcome: Outcome, request: GateRequest, suffix: str) -> bytes:
    """The file by its suffix: `.md`, `.xml` (JUnit) or `.json`. Raises MeasurementError for damaged results."""
    if suffix == ".xml":
        return _junit(outcome, request.family.name)
    changed = {place: list(_flips(part, request)) for place, part in enumerate(outcome.parts)}
    if suffix == ".json":
        document = {**outcome_document(outcome), "changed": _changed_documents(outcome, changed)}
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    return _markdown(outcome, changed).encode()


def _flips(part: PairedPart | StudyPart, request: GateRequest) -> Iterator[Flip]:
    if isinstance(part, StudyPart):
        return iter(())
    stored, measured = (
        Stored(baseline=read_baseline(path), folder=path.parent) for path in (request.baseline, request.measured)
    )
    return flips(stored, measured, part.subject, part.against)


def _changed_documents(outcome: Outcome, changed: dict[int, list[Flip]]) -> list[dict[str, object]]:
    return [
        {
            "subject": str(part.subject) if isinstance(part, PairedPart) else None,
            "dataset": one.dataset,
            "id": one.id,
            "question": None if one.asked is None else one.asked.question,
            "right": None if one.asked is None else list(one.asked.right),
            "baseline_answer": one.baseline_answer,
            "answer": one.answer,
            "baseline_score": one.baseline_score,
            "score": one.score,
        }
        for place, part in enumerate(outcome.parts)
        for one in changed[place]
    ]


def _markdown(outcome: Outcome, changed: dict[int, list[Flip]]) -> str:
    lines = [f"# Gate: {outcome.verdict}", ""]
    if outcome.note:
        lines += [outcome.note, ""]
    for place, part in enumerate(outcome.parts):
        if isinstance(part, StudyPart):
            lines += ["```", show_outcome(Outcome(parts=(part,)), width=None).rstrip(), "```", ""]
        else:
            lines += _markdown_part(part, changed[place])
    return "\n".join(lines)


def _markdown_part(part: PairedPart, changed: list[Flip]) -> Iterator[str]:
    yield from (f"## {part.subject} against {part.against}", "")
    yield "| data set | samples | base | now | change | at worst | p | verdict |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for one in part.comparisons:
        changes = f"{100 * one.change:+.1f} | {100 * one.worst:+.1f} | {one.p:.3g}"
        scores = f"{one.samples} | {points(one.baseline)} | {points(one.measured)}"
        yield f"| {_cell(one.dataset)} | {scores} | {changes} | {one.verdict} |"
    yield from ("", decided(part.comparisons), "")
    for note in part.notes:
        yield f"- differs: {note}"
    if not changed:
        return
    yield from ("", f"{len(changed)} samples changed; the first {min(len(changed), MOST_FLIPS)}:", "")
    yield "| data set | sample | question | right | baseline said | said now | score |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for flip in islice(changed, MOST_FLIPS):
        asked = ("", "") if flip.asked is None else (flip.asked.question, ", ".join(flip.asked.right))
        cells = (flip.dataset, flip.id, *asked, flip.baseline_answer, flip.answer)
        yield f"| {' | '.join(map(_cell, cells))} | {flip.baseline_score:g} → {flip.score:g} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _junit(outcome: Outcome, family: str) -> bytes:
    """A suite a variant, a case a data set or a drop of the study's: failed where it dropped, an error where it could
    not be measured, skipped where there are too few samples."""
    root = ElementTree.Element("testsuites", name=f"trimoe gate {family}")
    for part in outcome.parts:
        name = str(part.subject) if isinstance(part, PairedPart) else f"the study's drops, {part.engine} {part.dtype}"
        suite = ElementTree.SubElement(root, "testsuite", name=name)
        for one in part.comparisons if isinstance(part, PairedPart) else part.checks:
            _case(suite, name, one)
        cases = list(suite)
        suite.set("tests", str(len(cases)))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: ElementTree.Element, name: str, one: Comparison | DropCheck) -> None:
    if isinstance(one, Comparison):
        title, message = one.dataset, decided((one,))
    else:
        title, message = one.variant, one.reason or f"mean drop against {100 * one.claim.mean:.2f} points reported"
    case = ElementTree.SubElement(suite, "testcase", classname=_printable(name), name=_printable(title))
    if one.verdict != PASS:
        tag = {FAIL: "failure", UNKNOWN: "skipped"}.get(one.verdict, "error")
        ElementTree.SubElement(case, tag, message=_printable(message))


def _printable(text: str) -> str:
    """Text that XML can hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
