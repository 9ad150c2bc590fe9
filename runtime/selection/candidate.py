"""What is known of each variant when one is chosen: what it would cost this request, and what its answers are worth."""

from dataclasses import dataclass

from msgspec import Struct


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """The expected score on a task, a share (0–1), and the lower end of its interval. `measured` False: not measured
    on this family, but what the pruning study's evidence says, or, `estimated`, what an accuracy model predicts."""

    score: float
    low: float
    measured: bool
    estimated: bool = False


class Candidate(Struct, frozen=True, kw_only=True):
    """A variant in one type of weights. `predicted_ms` and `upper_ms` are for the whole answer, from the arrival of the
    request, waiting included; None where they cannot be predicted, for which `unpredicted` has the reason. `widened`:
    the request is outside what the estimator was fitted on, and the upper bound is wider for it. `bytes` is the memory
    that it needs, or would need more than is used now. `active_parameters`, those that a token passes, say how much of
    the source is left, which decides where accuracies do not. `elastic`: it was never exported, but is made of the
    family's blocks.

    A Struct, because a choice makes one for each variant: a frozen dataclass takes ten times as long.
    """

    variant: str
    dtype: str
    accuracy: Accuracy | None
    predicted_ms: float | None
    upper_ms: float | None
    bytes: int
    unpredicted: str = ""
    widened: bool = False
    active_parameters: int = 0
    elastic: bool = False
