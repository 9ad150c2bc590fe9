"""What preparing a family did, as text and as a document."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from runtime.preparing.family import PreparedType
from runtime.text.counted import counted
from runtime.text.sizes import show_bytes


def report_document(found: Sequence[PreparedType]) -> dict[str, Any]:
    """The result for programs."""
    return {"prepared": [asdict(one) for one in found]}


def show_report(found: Sequence[PreparedType]) -> str:
    """Lines for people: what each type costs, and where it is."""
    return "".join(f"{line}\n" for one in found for line in _lines(one))


def _lines(one: PreparedType) -> tuple[str, ...]:
    made = f"made in {one.seconds:.1f} s" if one.made else "was there already"
    tested = f"; {counted(one.tested, 'variant')} tested in {one.test_seconds:.1f} s" if one.tested else ""
    return (
        f"{one.dtype}: {show_bytes(one.bytes)}, {show_bytes(one.packed_bytes)} of them packed, {made}{tested}",
        f"  {one.folder}",
    )
