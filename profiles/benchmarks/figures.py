"""Figures with the targets they have to meet."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the table: what was measured, the value with its unit, the target ("≥ 1.8"), and whether it is met
    (None: skipped)."""

    name: str
    value: str
    target: str
    met: bool | None


def at_least(name: str, value: float, target: float) -> Figure:
    """The figure of a value that has to be `target` or more."""
    return Figure(name=name, value=f"{value:.2f}", target=f"≥ {target:g}", met=value >= target)


def at_most(name: str, value: float, target: float) -> Figure:
    """The figure of a value that has to be `target` or less."""
    return Figure(name=name, value=f"{value:.3f}", target=f"≤ {target:g}", met=value <= target)
