"""What was chosen, and why each other variant was not."""

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import TrimoeError
from runtime.selection.candidate import Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a candidate was not chosen: `kind` is one of runtime/selection/reasons.py's, `text` one sentence with the
    numbers."""

    candidate: Candidate
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The candidate chosen, and the reasons of all others, in the order of the candidates; they are worked out when
    they are read. `best_effort`: it does not keep the request's limits."""

    candidate: Candidate
    reasons: Sequence[Reason]
    best_effort: bool


class NoFeasibleVariantError(TrimoeError):
    """No variant keeps the request's limits. `reasons` has all of them; `least_budget_ms` would have been enough, None
    where no budget would; `best_accuracy` is the highest lower end that the budget allows, None where nothing fits.
    `when_idle`: one would keep them were the machine idle, so that a later try may succeed; False until known."""

    def __init__(
        self,
        text: str,
        *,
        reasons: Sequence[Reason],
        least_budget_ms: float | None,
        best_accuracy: float | None,
    ) -> None:
        """`text` says what would be feasible."""
        super().__init__(text)
        self.reasons, self.least_budget_ms, self.best_accuracy = reasons, least_budget_ms, best_accuracy
        self.when_idle = False

    def add(self, hint: str) -> None:
        """Say something more."""
        self.args = (f"{self}; {hint}",)
