"""What counts as a drop: for one data set, and as options for all of them and by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from profiles.errors import MeasurementError


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What counts as a drop, as fractions: `tolerance` is allowed, `detect` must be caught. `alpha` bounds false
    alarms, `power` is of `detect`."""

    tolerance: float = 0.0
    detect: float = 0.02
    alpha: float = 0.05
    power: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < self.detect:
            raise MeasurementError(
                f"a tolerance of {100 * self.tolerance:g} points needs a larger drop to detect, not "
                f"{100 * self.detect:g} points"
            )
        if not 0 < self.alpha < 0.5 or not 0.5 < self.power < 1:
            raise MeasurementError(
                f"alpha {self.alpha} and power {self.power}: alpha lies between 0 and 0.5, power between 0.5 and 1"
            )


_DETECT_ABOVE_TOLERANCE = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """A fraction for all data sets, None meaning the default, and fractions for some of them by name."""

    everywhere: float | None = None
    named: Mapping[str, float] = field(default_factory=dict)

    def of(self, dataset: str | None, default: float) -> float:
        """The fraction of a data set; None gives that of data sets that are not named."""
        return self.named.get(dataset or "", default if self.everywhere is None else self.everywhere)


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitOptions:
    """Limits for all data sets and by name; by default no drop is tolerated and 0.02 above the tolerance is caught."""

    tolerance: Points = Points()
    detect: Points = Points()
    alpha: float = 0.05
    power: float = 0.9

    def of(self, dataset: str | None) -> Limits:
        """The limits of a data set; None gives those of data sets that are not named. Raises MeasurementError as
        `Limits`."""
        tolerance = self.tolerance.of(dataset, 0.0)
        detect = self.detect.of(dataset, tolerance + _DETECT_ABOVE_TOLERANCE)
        return Limits(tolerance=tolerance, detect=detect, alpha=self.alpha, power=self.power)

    @property
    def names(self) -> frozenset[str]:
        """The data sets named."""
        return frozenset((*self.tolerance.named, *self.detect.named))
