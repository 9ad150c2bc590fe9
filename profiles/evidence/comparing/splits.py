"""Train against validation, where a study measured both: the same combinations, and the same blocks' importance."""

from dataclasses import dataclass
from pathlib import Path

from exporter.evidence.evidence import block_key
from profiles.evidence.combining.read_searches import MOST_BLOCKS, split_searches
from profiles.evidence.comparing.pairs import correlation
from profiles.evidence.importance import spearman
from runtime.documents.checked_json import Node, read_document

TRAIN, VALIDATION = "train", "validation"
COMPARISONS = "importance_comparison_*.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitPoint:
    """One combination, or one block's score, on both splits of a data set (fractions)."""

    name: str
    train: float
    validation: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitComparison:
    """What both splits of one data set say: `what` is compared ("drops" or "importance"), with its correlation
    (Pearson's of drops, Spearman's of importance; None where it cannot be told)."""

    dataset: str
    what: str
    points: tuple[SplitPoint, ...]
    correlation: float | None


def compare_splits(folder: Path) -> tuple[SplitComparison, ...]:
    """All comparisons that the files below a folder allow: searches of the splits train and validation, and the study's
    importance comparisons. Raises DocumentError for files of another shape."""
    return (*_searched(folder), *(_importance(read_document(path)) for path in sorted(folder.rglob(COMPARISONS))))


def _searched(folder: Path) -> tuple[SplitComparison, ...]:
    train, validation = (
        {
            search.dataset: {one.removed: one.drop for one in search.trials}
            for search in split_searches(folder, split=name)
        }
        for name in (TRAIN, VALIDATION)
    )
    found = []
    for dataset in (name for name in train if name in validation):
        both = [removed for removed in train[dataset] if removed in validation[dataset]]
        one, other = [train[dataset][key] for key in both], [validation[dataset][key] for key in both]
        points = zip(both, one, other, strict=True)
        found.append(
            SplitComparison(
                dataset=dataset,
                what="drops",
                points=tuple(SplitPoint(name=str(list(key)), train=a, validation=b) for key, a, b in points),
                correlation=correlation(one, other),
            )
        )
    return tuple(found)


def _importance(node: Node) -> SplitComparison:
    train, validation = (_scores(node.require(f"{name}_scores")) for name in (TRAIN, VALIDATION))
    common = sorted(set(train) & set(validation))
    return SplitComparison(
        dataset=node.require("dataset_name").string(),
        what="importance",
        points=tuple(
            SplitPoint(name=f"block {block}", train=train[block], validation=validation[block]) for block in common
        ),
        correlation=spearman({key: train[key] for key in common}, {key: validation[key] for key in common})
        if common
        else None,
    )


def _scores(node: Node) -> dict[int, float]:
    return {block_key(key, value, blocks=MOST_BLOCKS): value.number() for key, value in node.items()}
