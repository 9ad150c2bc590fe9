"""What the gate is asked: which family to compare with which baseline, and which scores of the two."""

from dataclasses import dataclass
from pathlib import Path

from profiles.accuracy.gate.limits import LimitOptions
from runtime.documents.manifest import Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreChoice:
    """Which scores are compared: `variants` by id (none: all of the baseline), those of one `engine` (None: of all) and
    of some `dtypes` (none: of all).

    `against` names the baseline's variant to compare with, None the same one; `against_engine` and `against_dtype` the
    form in which the baseline's variants were measured, None the same one, or the only one there is. `other_model`: the
    baseline may be of another checkpoint than the family.
    """

    variants: tuple[str, ...] = ()
    engine: str | None = None
    dtypes: tuple[str, ...] = ()
    against: str | None = None
    against_engine: str | None = None
    against_dtype: str | None = None
    other_model: bool = False

    def asks(self, engine: str, dtype: str) -> bool:
        """Whether scores by this engine in this dtype are compared."""
        return self.engine in (None, engine) and (not self.dtypes or dtype in self.dtypes)

    @property
    def form(self) -> str:
        """The engine and the dtypes as messages name them, empty where all are compared."""
        return " ".join(one for one in (self.engine, *self.dtypes) if one)


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRequest:
    """The family in the folder `family` is compared with the file `baseline`; its own scores are in `measured`."""

    family: Path
    manifest: Manifest
    baseline: Path
    measured: Path
    choice: ScoreChoice
    limits: LimitOptions
