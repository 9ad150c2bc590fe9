"""Importance of blocks in the study's layout: comparisons of two splits, or the sensitivities of single blocks.

`<folder>/<dataset>/importance_comparison_<dataset>.json` is read where there is one, else
`<folder>/<dataset>/<split>/sensitivity_block_<i>.json` of the splits train and validation (or test), or of one split.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.evidence.evidence import block_key
from profiles.errors import MeasurementError
from profiles.evidence.importance import Scores, Sensitivity, read_sensitivity
from profiles.evidence.merging.merge import DatasetScores
from runtime.documents.checked_json import Node, read_document

COMPARISON = "importance_comparison_{}.json"
SENSITIVITIES = "sensitivity_block_*.json"
FIRST, SECONDS = "train", ("validation", "test")
MOST_BLOCKS = 10_000
_ROUNDING = 1e-9


def read_tree(folder: Path) -> dict[str, DatasetScores]:
    """The scores of each data set, names ascending.

    Raises DocumentError for a file that is not what it must be, MeasurementError where nothing is found, where splits
    or data sets have not the same blocks, where baselines of one split differ, and where what is measured cannot be
    averaged. The study's own merge left such data sets out without a word.
    """
    if not folder.is_dir():
        raise MeasurementError(f"{folder}: not a folder")
    found: dict[str, DatasetScores] = {}
    metrics: dict[str, str | None] = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        comparison = place / COMPARISON.format(place.name)
        _refuse_others(place, comparison)
        if comparison.is_file():
            found[place.name] = _read_comparison(comparison, place.name)
            metrics[place.name] = None
        elif splits := _read_splits(place):
            found[place.name] = _two_splits(place, splits)
            metrics[place.name] = next(iter(next(iter(splits.values())).values())).metric
    if not found:
        raise MeasurementError(
            f"{folder}: no importance in it: neither DATASET/{COMPARISON.format('DATASET')} nor "
            f"DATASET/SPLIT/{SENSITIVITIES}"
        )
    _check_blocks(folder, found)
    if len(set(metrics.values())) > 1:
        told = ", ".join(f"{name} {metric or 'accuracy'}" for name, metric in metrics.items())
        raise MeasurementError(f"{folder}: scores of different kinds cannot be averaged: {told}")
    return found


def _refuse_others(place: Path, comparison: Path) -> None:
    others = [path for path in place.glob(COMPARISON.format("*")) if path != comparison]
    if others:
        raise MeasurementError(f"{others[0]}: a comparison of another data set than its folder {place.name}")


def _read_comparison(path: Path, dataset: str) -> DatasetScores:
    node = read_document(path)
    name = node.require("dataset_name")
    if name.string() != dataset:
        name.fail(f"{name.value!r}, in the folder of {dataset}")
    train, validation = (_scores(node.require(key)) for key in ("train_scores", "validation_scores"))
    _check_same(f"{path}: train_scores", train, "validation_scores", validation)
    return DatasetScores(train=train, validation=validation)


def _scores(node: Node) -> Scores:
    scores = {block_key(key, entry, blocks=MOST_BLOCKS): entry.number() for key, entry in node.items()}
    if not scores:
        node.fail("holds no score")
    return scores


def _read_splits(place: Path) -> dict[str, dict[int, Sensitivity]]:
    """By split the sensitivity of each block."""
    splits: dict[str, dict[int, Sensitivity]] = {}
    for folder in sorted(path for path in place.iterdir() if path.is_dir()):
        blocks = {one.block: one for one in _read_sensitivities(folder, place.name)}
        if blocks:
            splits[folder.name] = dict(sorted(blocks.items()))
    return splits


def _read_sensitivities(folder: Path, dataset: str) -> Iterator[Sensitivity]:
    first: Sensitivity | None = None
    for path in sorted(folder.glob(SENSITIVITIES)):
        one = read_sensitivity(path)
        if path.name != f"sensitivity_block_{one.block}.json" or (one.dataset, one.split) != (dataset, folder.name):
            raise MeasurementError(f"{path}: holds block {one.block} of {one.dataset} {one.split}")
        first = first or one
        if abs(one.baseline - first.baseline) > _ROUNDING or one.metric != first.metric:
            raise MeasurementError(
                f"{path}: baseline_accuracy {one.baseline}, but block {first.block} has {first.baseline}: they were "
                "not measured together"
            )
        yield one


def _two_splits(place: Path, splits: Mapping[str, Mapping[int, Sensitivity]]) -> DatasetScores:
    scores = {split: {block: one.importance for block, one in blocks.items()} for split, blocks in splits.items()}
    if len(scores) == 1:
        return DatasetScores(train=next(iter(scores.values())))
    second = [split for split in SECONDS if split in scores]
    if FIRST not in scores or len(scores) != 2 or not second:
        raise MeasurementError(
            f"{place}: has the splits {', '.join(scores)}; two are merged, {FIRST} and one of {', '.join(SECONDS)}"
        )
    _check_same(f"{place}: {FIRST}", scores[FIRST], second[0], scores[second[0]])
    return DatasetScores(train=scores[FIRST], validation=scores[second[0]])


def _check_blocks(folder: Path, found: Mapping[str, DatasetScores]) -> None:
    names = list(found)
    for name in names[1:]:
        _check_same(f"{folder}: {names[0]}", found[names[0]].train, name, found[name].train)


def _check_same(one: str, first: Scores, other: str, second: Scores) -> None:
    """Both have scores of the same blocks: MeasurementError names those that only one has."""
    if differ := sorted(set(first) ^ set(second)):
        raise MeasurementError(f"{one} and {other} have not the same blocks: only one of them has {differ}")
