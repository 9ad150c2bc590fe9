"""Ways of choosing, by name: trimoe's own, and plain ones to compare it with."""

from collections.abc import Callable, Sequence

from runtime.errors import DocumentError
from runtime.selection.candidate import Candidate
from runtime.selection.choose import choose
from runtime.selection.demand import Demand

Policy = Callable[[Sequence[Candidate], Demand], Candidate]
"""The candidate for a request. Raises NoFeasibleVariantError where it refuses."""
CHOICE, LARGEST, QUICKEST, FIXED = "choice", "largest", "quickest", "fixed:"
NAMES = f"{CHOICE}, {LARGEST}, {QUICKEST} or {FIXED}VARIANT[/DTYPE]"


def policy_of(name: str, candidates: Sequence[tuple[str, str]]) -> Policy:
    """The policy of that name; `candidates` are the (variant, dtype) that there are. CHOICE keeps what a request
    demands; the others always answer, with the variant of most active parameters, the least predicted time, or the one
    named.

    Raises DocumentError for an unknown name or variant.
    """
    if name == CHOICE:
        return _choice
    if name == LARGEST:
        return lambda found, demand: min(found, key=_largest_first)
    if name == QUICKEST:
        return lambda found, demand: min(found, key=_quickest_first)
    if not name.startswith(FIXED):
        raise DocumentError(f"no policy {name!r}; there are {NAMES}")
    return _fixed(name.removeprefix(FIXED), candidates)


def _fixed(name: str, candidates: Sequence[tuple[str, str]]) -> Policy:
    """The candidate of that name; without a type the first one of that variant."""
    variant, _, dtype = name.partition("/")
    for place, one in enumerate(candidates):
        if one[0] == variant and dtype in ("", one[1]):
            return lambda found, demand: found[place]
    known = ", ".join(f"{variant}/{dtype}" for variant, dtype in candidates)
    raise DocumentError(f"no candidate {name!r} for the policy {FIXED}; there are {known}")


def _choice(found: Sequence[Candidate], demand: Demand) -> Candidate:
    return choose(found, demand).candidate


def _largest_first(one: Candidate) -> tuple[int, str, str]:
    return (-one.active_parameters, one.variant, one.dtype)


def _quickest_first(one: Candidate) -> tuple[float, str, str]:
    return (float("inf") if one.predicted_ms is None else one.predicted_ms, one.variant, one.dtype)
