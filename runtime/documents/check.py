"""One check of a verification, as an export records it in the manifest and as `trimoe verify` reports it."""

from msgspec import Struct

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Check(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One check: its name, the variant it is about (None: the family, or the variant whose record in the manifest holds
    it), its outcome and a sentence of detail."""

    name: str
    variant: str | None = None
    outcome: str
    detail: str
