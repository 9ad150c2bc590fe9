"""What the gate is asked: which family to compare with which baseline, and which scores of the two."""

from dataclasses import dataclass
from pathlib import Path

from profiles.accuracy.gate.limits import LimitOptions
from runtime.documents.manifest import Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreChoice:
    """Which scores are compared: `variants` by id (none: all of the baseline), those of one `engine` (None: of all).

    `against` names the baseline's variant to compare with, None the same one. `other_model`: the baseline may be of
    another checkpoint than the family.
    """

    variants: tuple[str, ...] = ()
    engine: str | None = None
    against: str | None = None
    other_model: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRequest:
    """The family in the folder `family` is compared with the file `baseline`; its own scores are in `measured`."""

    family: Path
    manifest: Manifest
    baseline: Path
    measured: Path
    choice: ScoreChoice
    limits: LimitOptions
