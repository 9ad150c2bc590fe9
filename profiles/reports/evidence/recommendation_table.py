"""Recommended combinations as text and as JSON fields."""

from collections.abc import Iterator
from typing import Any

from exporter.evidence.evidence import show_blocks
from profiles.evidence.combining.effects.estimate import LEVEL
from profiles.evidence.combining.recommend import Recommendation, Recommended
from profiles.evidence.combining.rules import RULES
from runtime.text.counted import counted
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped

COLUMNS = (
    Column(head="removed"),
    Column(head="drop", right=True),
    Column(head="spread", right=True),
    Column(head="sets", right=True),
    Column(head="over all", right=True),
    Column(head="interval", right=True),
    Column(head="chosen by", wraps=True),
)


def show_recommended(found: Recommended, *, width: int | None) -> str:
    """A table of all recommendations, in points, then what speaks against those that a rule chose, and notes."""
    rows = [one for size in found.by_size.values() for one in size]
    table = show_table(
        COLUMNS,
        [_row(one) for one in rows],
        width=width,
        groups=[f"{counted(len(one.combination.removed), 'block')} removed" for one in rows],
    )
    lines = [*wrapped(_title(found), width), "", table, ""]
    for line in (*_remarks(found), *_ends(found)):
        lines += wrapped(line, width, indent="  ")
    return "\n".join(lines) + "\n"


def _title(found: Recommended) -> str:
    study = found.study
    return (
        f"{counted(len(study.combinations), 'combination')} on {counted(len(study.datasets), 'data set')}; drops of "
        f"accuracy in points; over all: estimated mean over all data sets, with its interval of {100 * LEVEL:.0f} %"
    )


def _row(one: Recommendation) -> tuple[str, ...]:
    combination, (mean, low, high) = one.combination, one.estimate
    return (
        show_blocks(combination.removed),
        _points(combination.mean),
        _points(combination.std),
        str(combination.count),
        _points(mean),
        f"[{_points(low)}, {_points(high)}]",
        ", ".join(one.rules),
    )


def _remarks(found: Recommended) -> Iterator[str]:
    for size in found.by_size.values():
        for one in size:
            if one.remarks and set(one.rules) & set(RULES):
                yield f"{show_blocks(one.combination.removed)}: {'; '.join(one.remarks)}"


def _ends(found: Recommended) -> Iterator[str]:
    errors = found.left_out
    drops, sets = counted(errors.drops, "drop"), counted(errors.combinations, "combination")
    mae, rms = _points(errors.drop_mae), _points(errors.drop_rms)
    yield (
        f"estimates, of what was left out of them: {drops} one by one are missed by {mae} points on "
        f"average (root mean square {rms}), {100 * errors.drop_covered:.0f} % lie in their "
        f"interval; {sets} one by one by {_points(errors.combination_mae)} ({_points(errors.combination_rms)})"
    )
    yield from found.study.notes
    yield from found.notes


def _points(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def recommended_fields(found: Recommended) -> dict[str, Any]:
    """All recommendations as JSON fields; drops are fractions."""
    errors = found.left_out
    return {
        "source": found.study.source,
        "blocks": found.study.blocks,
        "datasets": found.study.datasets,
        "protected": found.settings.protected,
        "min_datasets": found.settings.min_datasets,
        "level": LEVEL,
        "chosen": {rule: [one.removed for one in sets] for rule, sets in found.chosen.items()},
        "recommendations": [_fields(one) for size in found.by_size.values() for one in size],
        "left_out": {
            "drops": errors.drops,
            "drop_rms": errors.drop_rms,
            "drop_mae": errors.drop_mae,
            "drop_covered": errors.drop_covered,
            "combinations": errors.combinations,
            "combination_rms": errors.combination_rms,
            "combination_mae": errors.combination_mae,
        },
        "notes": [*found.study.notes, *found.notes],
    }


def _fields(one: Recommendation) -> dict[str, Any]:
    mean, low, high = one.estimate
    return {
        "removed_blocks": one.combination.removed,
        "avg_drop": one.combination.mean,
        "std_drop": one.combination.std,
        "avg_accuracy": one.combination.accuracy,
        "datasets": list(one.combination.drops),
        "estimate": {"mean": mean, "low": low, "high": high},
        "rules": one.rules,
        "remarks": one.remarks,
    }
