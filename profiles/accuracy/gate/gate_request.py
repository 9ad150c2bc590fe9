"""What the gate is asked: which family to compare with which baseline, and which scores of the two."""

from dataclasses import dataclass
from pathlib import Path

from profiles.accuracy.gate.limits import LimitOptions
from runtime.documents.manifest import Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreChoice:
    """Which scores are compared: `variants` by id (none: all of the baseline), those of one `engine` and one `dtype`
    (None: of all).

    `against` names the baseline's variant to compare with, None the same one. `other_model`: the baseline may be of
    another checkpoint than the family.
    """

    variants: tuple[str, ...] = ()
    engine: str | None = None
    dtype: str | None = None
    against: str | None = None
    other_model: bool = False

    def asks(self, engine: str, dtype: str) -> bool:
        """Whether scores by this engine in this dtype are compared."""
        return self.engine in (None, engine) and self.dtype in (None, dtype)

    @property
    def form(self) -> str:
        """The engine and the dtype as messages name them, empty where all are compared."""
        return " ".join(one for one in (self.engine, self.dtype) if one)


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRequest:
    """The family in the folder `family` is compared with the file `baseline`; its own scores are in `measured`."""

    family: Path
    manifest: Manifest
    baseline: Path
    measured: Path
    choice: ScoreChoice
    limits: LimitOptions
