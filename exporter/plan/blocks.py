"""Which blocks go at each depth: evidence in, sets of removed blocks out. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from exporter.evidence.evidence import ANALYSIS, ExplicitRemovals, Importance, Recommendations, RemovalSet, show_blocks
from runtime.documents.manifest import DropRecord
from runtime.errors import PlanError

STUDY_LIMIT = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """The blocks that go at one depth, ascending, with their measured drop where the evidence has one."""

    depth: int
    removed: tuple[int, ...]
    drop: DropRecord | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """One removal per variant shape, deepest first, and notes on how it came about."""

    removals: tuple[Removal, ...]
    notes: tuple[str, ...]


def choose_blocks(
    evidence: Importance | Recommendations | ExplicitRemovals,
    *,
    blocks: int,
    protected: tuple[int, ...],
    depths: tuple[int, ...] | None,
) -> Selection:
    """Choose the removed blocks for each depth (number of kept blocks) of a model with `blocks` blocks.

    `protected` blocks are never removed; block 0 must be among them. Without `depths`: all that the evidence covers;
    importance scores cover the study's range, from four blocks fewer (or as few as may be removed) to the full depth;
    explicit sets cover themselves.

    Raises PlanError: depth out of range or not covered, a depth at which every candidate removes a protected block, too
    few removable blocks, a protected block in a set, a block without a score.
    """
    for depth in depths or ():
        if not 1 <= depth <= blocks:
            raise PlanError(f"cannot keep {depth} blocks: the model has {blocks}")
    match evidence:
        case Importance():
            return _by_importance(evidence, blocks, protected, depths)
        case Recommendations():
            return _by_recommendations(evidence, blocks, protected, depths)
        case ExplicitRemovals():
            return _explicit(evidence, blocks, protected, depths)


def _by_importance(
    evidence: Importance, blocks: int, protected: tuple[int, ...], depths: tuple[int, ...] | None
) -> Selection:
    scores = dict(evidence.scores)
    kept = set(protected)
    notes = []
    if blocks - 1 not in scores and blocks - 1 not in kept:
        kept.add(blocks - 1)
        notes.append(f"{evidence.file} has no score for the last block, {blocks - 1}: it is kept")
    if depths is None:
        depths = tuple(range(blocks, max(blocks - STUDY_LIMIT, len(kept)) - 1, -1))
    _check_scores(evidence, blocks, kept, min(depths))
    # The study's order: a stable sort, so that of two equal scores the one later in the file goes first.
    ranked = [
        block for block, _ in sorted(evidence.scores, key=lambda pair: pair[1], reverse=True) if block not in kept
    ]
    removals = []
    for depth in sorted(depths, reverse=True):
        cut = depth - len(kept)
        if 0 < cut < len(ranked) and scores[ranked[cut - 1]] == scores[ranked[cut]]:
            notes.append(_tie(depth, evidence.file, ranked[cut - 1], ranked[cut], scores[ranked[cut]]))
        removed = tuple(sorted(ranked[cut:])) if depth < blocks else ()
        removals.append(Removal(depth=depth, removed=removed, drop=None))
    return Selection(removals=tuple(removals), notes=tuple(notes))


def _check_scores(evidence: Importance, blocks: int, kept: set[int], fewest: int) -> None:
    """Raise PlanError where `fewest` blocks cannot be reached by removing blocks that have a score."""
    scored = {block for block, _ in evidence.scores}
    missing = [block for block in range(blocks) if block not in scored and block not in kept]
    if missing and fewest < blocks:
        raise PlanError(
            f"{evidence.path}: no score for blocks {missing}; a block is ranked by its score or must be protected"
        )
    if fewest < len(kept):
        always = ", ".join(map(str, sorted(kept)))
        raise PlanError(f"cannot reach {fewest} blocks: {len(kept)} are always kept ({always})")


def _tie(depth: int, file: str, kept: int, removed: int, score: float) -> str:
    return (
        f"blocks {depth}: blocks {kept} and {removed} have the same score, {score}; {removed} goes because it "
        f"is later in {file}"
    )


def _by_recommendations(
    evidence: Recommendations, blocks: int, protected: tuple[int, ...], depths: tuple[int, ...] | None
) -> Selection:
    steps = {blocks - len(step.blocks): step for step in evidence.steps}
    if depths is None:
        depths = tuple(sorted({blocks, *steps, *(blocks - len(barred.blocks) for barred in evidence.barred)}))
    _check_covered(evidence, blocks, protected, depths)
    chosen = [steps[depth] for depth in sorted(depths, reverse=True) if depth != blocks]
    possible = [depth for depth, step in steps.items() if not set(step.blocks) & set(protected)]
    for step in chosen:
        if set(step.blocks) & set(protected):
            raise PlanError(
                f"{evidence.path}: {step.place}: recommends removing {show_blocks(step.blocks)}: "
                f"{_protection(step.blocks, protected)}; --blocks {','.join(map(str, sorted({blocks, *possible})))} "
                "leaves it out"
            )
    full = [Removal(depth=blocks, removed=(), drop=None)] if blocks in depths else []
    removals = [Removal(depth=blocks - len(step.blocks), removed=step.blocks, drop=step.drop) for step in chosen]
    shown = {blocks - len(step.blocks) for step in chosen}
    notes = [note for note in evidence.notes if any(note.startswith(f"blocks {depth}:") for depth in shown)]
    return Selection(
        removals=(*full, *removals), notes=(*notes, *_note_counts(chosen, blocks), *_note_nesting(chosen, blocks))
    )


def _check_covered(evidence: Recommendations, blocks: int, protected: tuple[int, ...], depths: tuple[int, ...]) -> None:
    covered = sorted({blocks, *(blocks - len(step.blocks) for step in evidence.steps)})
    for barred in evidence.barred:
        depth = blocks - len(barred.blocks)
        if depth in depths:
            message = (
                f"{evidence.path}: {barred.place}: no set leaves {depth} blocks: each candidate of "
                f"{len(barred.blocks)} removes a protected block"
            )
            advice = f"--blocks {','.join(map(str, covered))} asks only for what is covered"
            raise PlanError(
                f"{message}, the best {show_blocks(barred.blocks)} ({_protection(barred.blocks, protected)}); {advice}"
            )
    lacking = [depth for depth in depths if depth not in covered]
    if any(blocks - len(step.blocks) in lacking for step in evidence.beyond):
        raise PlanError(
            f"{evidence.path}: combination_stats: stepwise stops at {min(covered)} blocks, because no candidate "
            f"removes {blocks - min(covered) + 1}; --strategy independent goes on"
        )
    if lacking:
        keys = ", ".join(f'"{blocks - depth}"' for depth in lacking)
        place = "combination_stats: " if evidence.kind == ANALYSIS else f"no key {keys}: "
        raise PlanError(
            f"{evidence.path}: {place}says nothing about {_list(lacking)} blocks; it covers {_list(covered)}"
        )


def _note_counts(steps: list[RemovalSet], blocks: int) -> Iterable[str]:
    if len({step.drop.datasets for step in steps}) > 1:
        counts = ", ".join(f"{blocks - len(step.blocks)} blocks: {len(step.drop.datasets)}" for step in steps)
        yield f"the drops are averages over different data sets and cannot be compared with each other ({counts})"


def _note_nesting(steps: list[RemovalSet], blocks: int) -> Iterable[str]:
    for before, step in pairwise(steps):
        if not set(step.blocks) >= set(before.blocks):
            depth = blocks - len(step.blocks)
            yield (
                f"blocks {depth}: {show_blocks(step.blocks)} does not contain {show_blocks(before.blocks)}, so "
                "that the two share fewer bytes"
            )


def _explicit(
    evidence: ExplicitRemovals, blocks: int, protected: tuple[int, ...], depths: tuple[int, ...] | None
) -> Selection:
    for removed in evidence.sets:
        _check_explicit(removed, blocks, protected)
        if depths is not None and blocks - len(removed) not in depths:
            raise PlanError(
                f"removing {show_blocks(removed)} leaves {blocks - len(removed)} blocks, "
                "which --blocks does not ask for"
            )
    removals = {(blocks - len(removed), removed) for removed in evidence.sets}
    if depths is not None and blocks in depths:
        removals.add((blocks, ()))
    covered = sorted({blocks, *(depth for depth, _ in removals)})
    lacking = [depth for depth in depths or () if depth not in covered]
    if lacking:
        raise PlanError(f"no --remove leaves {_list(lacking)} blocks; the sets given cover {_list(covered)}")
    ordered = sorted(removals, key=lambda pair: (-pair[0], pair[1]))
    return Selection(
        removals=tuple(Removal(depth=depth, removed=removed, drop=None) for depth, removed in ordered), notes=()
    )


def _check_explicit(removed: tuple[int, ...], blocks: int, protected: tuple[int, ...]) -> None:
    absent = [block for block in removed if not 0 <= block < blocks]
    if absent:
        raise PlanError(f"cannot remove blocks {absent}: the model has blocks 0–{blocks - 1}")
    _refuse_protected(removed, protected, f"cannot remove blocks {show_blocks(removed)}")


def _refuse_protected(removed: tuple[int, ...], protected: tuple[int, ...], message: str) -> None:
    if set(removed) & set(protected):
        raise PlanError(f"{message}: {_protection(removed, protected)}")


def _protection(removed: tuple[int, ...], protected: tuple[int, ...]) -> str:
    block = min(set(removed) & set(protected))
    return "block 0 is never removed" if block == 0 else f"block {block} is protected"


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def protected_blocks(asked: tuple[int, ...], blocks: int) -> tuple[int, ...]:
    """The blocks that are never removed: block 0, without which little of a model is left (the pruning study lost 62.7
    points), and those asked for. Raises PlanError for blocks that the model does not have."""
    absent = [block for block in asked if not 0 <= block < blocks]
    if absent:
        raise PlanError(f"cannot protect blocks {absent}: the model has blocks 0–{blocks - 1}")
    return tuple(sorted({0, *asked}))
