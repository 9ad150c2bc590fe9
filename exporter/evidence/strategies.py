"""The strategies that recommend one combination of a cross-data-set analysis for each number of removed blocks.
Pure."""

from dataclasses import dataclass

from exporter.evidence.evidence import DEFAULT_MIN_DATASETS, ROBUST, STEPWISE, RemovalSet, show_blocks, show_drop

LEAST_DATASETS = 2
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """The recommended sets, ascending in size, and notes on them; `barred` has the best set of each size of which all
    are protected, `beyond` those that stepwise would take if it did not stop at a gap."""

    sets: tuple[RemovalSet, ...]
    barred: tuple[RemovalSet, ...]
    beyond: tuple[RemovalSet, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How sets are chosen: the strategy (None where the user named none), what robust asks for, what is never removed,
    block 0 among it."""

    strategy: str | None = None
    min_datasets: int = DEFAULT_MIN_DATASETS
    protected: tuple[int, ...] = (0,)

    @property
    def name(self) -> str:
        """The strategy, stepwise where none was named."""
        return self.strategy or STEPWISE

    @property
    def least_datasets(self) -> int:
        """How many data sets a candidate must have been tried on."""
        return max(LEAST_DATASETS, self.min_datasets) if self.strategy == ROBUST else LEAST_DATASETS


def choose_steps(combinations: tuple[RemovalSet, ...], rule: Rule, *, file: str, blocks: int) -> Steps:
    """The recommended set for each number of removed blocks that has a candidate, ascending.

    As in the pruning study's recommendation script candidates were tried on at least two data sets and lose accuracy or
    none (drop ≥ 0), and the best of several is the one with the least mean drop, at a tie the first in the file. Here
    they also remove no protected block. Means that are equal, or differ by rounding alone (1e-9), are noted.

    - stepwise, the study's: the best superset of the step before; where there is none, the best of that size; ends
      before the first size without a candidate
    - independent: the best of each size
    - robust: the best of each size among those tried on at least `rule.min_datasets` data sets
    """
    tried = [c for c in combinations if c.blocks and len(c.drop.datasets) >= rule.least_datasets and c.drop.mean >= 0]
    sizes = sorted({len(c.blocks) for c in tried})
    stepwise = rule.name == STEPWISE
    last = _last_before_gap(sizes) if stepwise else max(sizes, default=0)
    sets: list[RemovalSet] = []
    barred: list[RemovalSet] = []
    notes: list[str] = []
    for size in sizes:
        pool, left_out = _part([c for c in tried if len(c.blocks) == size], rule.protected)
        if pool:
            pool = (stepwise and sets and _supersets(sets[-1], pool)) or pool
            sets.append(_best(pool))
            free, _ = _part([c for c in combinations if len(c.blocks) == size], rule.protected)
            found = _notes(blocks - size, sets[-1], pool, left_out, free, file=file, protected=rule.protected)
            notes += found if size <= last else []
        elif size <= last:
            barred.append(_best(left_out))
    taken = tuple(chosen for chosen in sets if len(chosen.blocks) <= last)
    beyond = tuple(sets[len(taken) :])
    if taken and beyond:
        notes.append(_note_gap(blocks, last, beyond, file))
    return Steps(sets=taken, barred=tuple(barred), beyond=beyond, notes=tuple(notes))


def _supersets(before: RemovalSet, pool: list[RemovalSet]) -> list[RemovalSet]:
    return [c for c in pool if set(c.blocks) > set(before.blocks)]


def _last_before_gap(sizes: list[int]) -> int:
    """The size that ends the first run of consecutive sizes; 0 where there is none."""
    return next((size for size in sizes if size + 1 not in sizes), 0)


def _notes(
    depth: int,
    chosen: RemovalSet,
    pool: list[RemovalSet],
    left_out: list[RemovalSet],
    free: list[RemovalSet],
    *,
    file: str,
    protected: tuple[int, ...],
) -> list[str]:
    """What the user must see about one choice; `free` are all sets of its size that remove no protected block."""
    return [
        *_note_tie(depth, chosen, pool, file),
        *_note_protected(depth, chosen, left_out, protected),
        *_note_better(depth, chosen, free),
    ]


def _note_gap(blocks: int, last: int, beyond: tuple[RemovalSet, ...], file: str) -> str:
    longer = "; ".join(f"{_show(found)}, for {blocks - len(found.blocks)} blocks" for found in beyond)
    return (
        f"blocks {blocks - last}: stepwise stops here, as the study does: {file} has no candidate that removes "
        f"{last + 1}; the chain would go on with {longer}"
    )


def _part(found: list[RemovalSet], protected: tuple[int, ...]) -> tuple[list[RemovalSet], list[RemovalSet]]:
    """The sets that remove no protected block, and those that do."""
    return [c for c in found if not set(c.blocks) & set(protected)], [
        c for c in found if set(c.blocks) & set(protected)
    ]


def _best(candidates: list[RemovalSet]) -> RemovalSet:
    return min(candidates, key=lambda c: c.drop.mean)


def _show(found: RemovalSet) -> str:
    return f"{show_blocks(found.blocks)}, {show_drop(found.drop)}"


def _note_tie(depth: int, chosen: RemovalSet, pool: list[RemovalSet], file: str) -> list[str]:
    tied = [c for c in pool if c is not chosen and c.drop.mean - chosen.drop.mean <= ROUNDING]
    if not tied:
        return []
    equal = any(c.drop.mean == chosen.drop.mean for c in tied)
    reason = f"it is the first of them in {file}" if equal else "its mean is lower in the last digits"
    more = f", and {len(tied) - 1} more" if len(tied) > 1 else ""
    return [
        f"blocks {depth}: {_show(chosen)}, has the same mean drop as {_show(tied[0])}{more}; "
        f"{show_blocks(chosen.blocks)} goes because {reason}"
    ]


def _note_protected(
    depth: int, chosen: RemovalSet, left_out: list[RemovalSet], protected: tuple[int, ...]
) -> list[str]:
    """Sets left out for protected blocks. Block 0 is protected in any case: sets that only it bars are noted where one
    beats the choice."""
    told = [c for c in left_out if set(c.blocks) & set(protected) != {0} or c.drop.mean < chosen.drop.mean]
    if not told:
        return []
    why = ", ".join(str(block) for block in protected if any(block in c.blocks for c in told))
    many = (
        "1 set is left out because it removes"
        if len(told) == 1
        else f"{len(told)} sets are left out because they remove"
    )
    return [f"blocks {depth}: {many} protected blocks ({why}); the best is {_show(_best(told))}"]


def _note_better(depth: int, chosen: RemovalSet, free: list[RemovalSet]) -> list[str]:
    """A note when another set of the same size beats the choice: it loses less and was tried on at least as many data
    sets."""
    better = [
        c
        for c in free
        if len(c.drop.datasets) >= len(chosen.drop.datasets) and 0 <= c.drop.mean < chosen.drop.mean - ROUNDING
    ]
    if not better:
        return []
    best = _best(better)
    return [
        f"blocks {depth}: {show_blocks(best.blocks)} loses {show_drop(best.drop)}, less than the chosen {_show(chosen)}"
    ]
