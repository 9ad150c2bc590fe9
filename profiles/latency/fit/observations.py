"""Measured times as an estimator is fitted to them, from whatever file they come."""

from dataclasses import dataclass

from runtime.latency.terms import terms_of
from runtime.latency.workload import Layers, Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """`ms` milliseconds of one stage; for `decode`, of one token at `position` in the cache.

    `variant` names what was run; observations of one `request` (any text) belong to one answer, whose `steps` tokens
    were decoded after the first.
    """

    stage: str
    variant: str
    layers: Layers
    load: Workload
    ms: float
    position: float = 0.0
    request: str = ""
    steps: int = 0

    @property
    def terms(self) -> dict[str, float]:
        """What the stage's time is a weighted sum of."""
        return terms_of(self.stage, self.load, self.position, self.layers)
