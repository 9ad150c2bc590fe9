"""Two latency profiles compared, as tables for people."""

from profiles.latency.compare import AGREEMENT, LEVEL, ProfileComparison
from runtime.text.tables import Column, show_table
from runtime.text.terminal import wrapped

_RATIOS = (
    Column(head="engine"),
    Column(head="dtype"),
    Column(head="stage"),
    Column(head="points", right=True),
    Column(head="B / A", right=True),
    Column(head="interval"),
)
_DIFFERENCES = (Column(head="differs"), Column(head="A"), Column(head="B", wraps=True))


def show_comparison(comparison: ProfileComparison, *, width: int | None) -> str:
    """A line a stage: times of the second profile over those of the first, with an interval; then what else differs."""
    rows = [
        (one.engine, one.dtype, one.stage, str(one.points), f"{one.ratio:.3f}", f"[{one.low:.3f}, {one.high:.3f}]")
        for one in comparison.ratios
    ]
    title = f"times of B over those of A: medians over points, intervals of {100 * LEVEL:.0f} %"
    parts = [title, show_table(_RATIOS, rows, width=width)]
    if comparison.repeated:
        parts += wrapped(_verdict(comparison), width)
    if comparison.differences:
        parts += ["", show_table(_DIFFERENCES, comparison.differences, width=width)]
    return "\n".join(parts) + "\n"


def _verdict(comparison: ProfileComparison) -> str:
    """Whether two runs under the same conditions agree."""
    worst = comparison.worst
    found = f"{worst.stage} differs by {100 * abs(worst.ratio - 1.0):.1f} %"
    limit = f"{100 * AGREEMENT:g} %"
    if comparison.agree:
        return f"two runs under the same conditions, which agree within {limit}: {found}"
    return (
        f"two runs under the same conditions, and {found}, the limit is {limit}: the machine is too noisy; stop other "
        "programs, bind to idle processors (taskset), fix the clocks, or measure longer"
    )
