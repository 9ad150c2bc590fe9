"""What a graph says of itself in its metadata: keys, and the comparison with what is expected of it."""

from collections.abc import Mapping
from pathlib import Path

from runtime.errors import VerificationError

VARIANT, PRECISION, FAMILY_DIGEST = "trimoe.variant", "trimoe.precision", "trimoe.family_digest"


def check_metadata(graph: Path, found: Mapping[str, str], expected: Mapping[str, str | None], *, source: str) -> None:
    """Compare a graph's metadata with the `expected` values; one that is None, or a family digest that the graph lacks,
    is unknown and passes.

    `source` says where these come from. Raises VerificationError naming the graph file, the key, what it says and what
    is expected.
    """
    for key, wanted in expected.items():
        if wanted is None or (key == FAMILY_DIGEST and key not in found):
            continue
        if found.get(key) != wanted:
            says = "missing" if key not in found else repr(found[key])
            raise VerificationError(f"{graph}: metadata {key} is {says}, {source} says {wanted!r}")
