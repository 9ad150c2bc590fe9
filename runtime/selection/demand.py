"""What a request allows, and whether a candidate keeps to it."""

from dataclasses import dataclass

from runtime.selection.candidate import Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """Milliseconds until the answer is whole, the least accuracy (a share), the variant and the type of weights that
    are asked for; None: any. Without `elastic` only variants that were exported may answer. With `best_effort` the
    nearest is taken where nothing keeps to it."""

    budget_ms: float | None = None
    min_accuracy: float | None = None
    variant: str | None = None
    dtype: str | None = None
    best_effort: bool = False
    elastic: bool = True

    def asks_for(self, candidate: Candidate) -> bool:
        """Whether it is of the variant and the type that are asked for."""
        if candidate.elastic and not self.elastic:
            return False
        return self.variant in (None, candidate.variant) and self.dtype in (None, candidate.dtype)

    def keeps_budget(self, candidate: Candidate) -> bool:
        """Whether its upper bound is within the budget; what cannot be predicted keeps none."""
        return self.budget_ms is None or (candidate.upper_ms is not None and candidate.upper_ms <= self.budget_ms)

    def keeps_floor(self, candidate: Candidate) -> bool:
        """Whether the lower end of its accuracy is at the least accuracy or above; an unknown one keeps none."""
        if self.min_accuracy is None:
            return True
        return candidate.accuracy is not None and candidate.accuracy.low >= self.min_accuracy
