"""Reads the results of a study's beam searches: `<dataset>/<split>/exp3_accuracy_sensitivity_v2_results.json`."""

from collections import Counter
from pathlib import Path

from exporter.evidence.combinations import TOLERANCE
from exporter.evidence.evidence import LARGEST_CIDER, block_index, drop_in, show_blocks
from profiles.errors import MeasurementError
from profiles.evidence.combining.combination import Removed, Search, Trial
from runtime.documents.checked_json import Node, read_document

RESULTS_FILE = "exp3_accuracy_sensitivity_v2_results.json"
CONFIGURATIONS = "beam_search_step*.json"
MOST_BLOCKS = 1000
POOLED = "+"


def read_searches(folder: Path, *, split: str | None = None) -> tuple[Search, ...]:
    """Every data set's search below `folder`, by name of the data set. Hidden folders are passed over.

    A data set with several splits counts with `split`; without one, with the only split that pools several, whose name
    has a "+". Raises MeasurementError where that names none or several, and where nothing is found; DocumentError for a
    file that is no search.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.rglob(RESULTS_FILE)):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        dataset, name = path.parent.parent.name, path.parent.name
        if name in found.setdefault(dataset, {}):
            raise MeasurementError(f"{folder}: {dataset}/{name} twice: {found[dataset][name]} and {path}")
        found[dataset][name] = path
    if not found:
        raise MeasurementError(_nothing(folder))
    chosen = {dataset: _only(folder, dataset, splits, split) for dataset, splits in sorted(found.items())}
    return tuple(
        read_search(read_document(path), dataset=dataset, split=path.parent.name) for dataset, path in chosen.items()
    )


def split_searches(folder: Path, *, split: str) -> tuple[Search, ...]:
    """The searches of one split, of those data sets that have it."""
    paths = sorted(path for path in folder.rglob(RESULTS_FILE) if path.parent.name == split)
    return tuple(read_search(read_document(path), dataset=path.parent.parent.name, split=split) for path in paths)


def _nothing(folder: Path) -> str:
    begun = sum(1 for _ in folder.rglob(CONFIGURATIONS))
    why = (
        f"; {begun} files {CONFIGURATIONS} of single configurations have no baseline: finish the search"
        if begun
        else ""
    )
    return f"{folder}: no <dataset>/<split>/{RESULTS_FILE} below it{why}"


def _only(folder: Path, dataset: str, splits: dict[str, Path], split: str | None) -> Path:
    """The file of the split that counts."""
    if split is not None and split in splits:
        return splits[split]
    if len(splits) == 1 and split is None:
        return next(iter(splits.values()))
    pooled = [name for name in splits if POOLED in name]
    if split is None and len(pooled) == 1:
        return splits[pooled[0]]
    asked = "several splits and none that pools the others" if split is None else f"no split {split}"
    raise MeasurementError(f"{folder}: {dataset}: {asked}; it has {', '.join(splits)}: give --split")


def read_search(node: Node, *, dataset: str, split: str) -> Search:
    """One document of results. Raises DocumentError naming file and place.

    A combination that is listed twice with the same accuracy counts once, with a note; with another accuracy it is an
    error. Refused too: a drop that is not baseline minus accuracy (1e-6), and drops that are no fractions, see
    `exporter.evidence.evidence.drop_in`.
    """
    baseline = node.require("baseline_accuracy")
    if not 0 <= baseline.number() <= LARGEST_CIDER:
        baseline.fail(f"{baseline.value} is no accuracy: fractions, and CIDEr, go from 0 to {LARGEST_CIDER:g}")
    blocks = node.get("num_total_blocks")
    trials: dict[Removed, Trial] = {}
    again: Counter[Removed] = Counter()
    for entry in node.require("summary").elements():
        trial = _trial(entry, dataset, baseline.number())
        before = trials.setdefault(trial.removed, trial)
        if before is not trial:
            again[trial.removed] += 1
            if abs(before.accuracy - trial.accuracy) > TOLERANCE:
                entry.fail(
                    f"{show_blocks(trial.removed)} twice, with accuracies {before.accuracy} and {trial.accuracy}: "
                    "which one counts is not clear"
                )
    if not trials:
        node.require("summary").fail("holds no combination")
    return Search(
        dataset=dataset,
        split=split,
        path=node.file,
        baseline=baseline.number(),
        blocks=None if blocks is None else blocks.integer(minimum=1, maximum=MOST_BLOCKS),
        trials=tuple(trials.values()),
        notes=tuple(f"{node.file}: {show_blocks(removed)} listed again, counted once" for removed in again),
    )


def _trial(entry: Node, dataset: str, baseline: float) -> Trial:
    removed = tuple(
        sorted(block_index(one, blocks=MOST_BLOCKS) for one in entry.require("removed_block_indices").elements())
    )
    if len(set(removed)) != len(removed):
        entry.require("removed_block_indices").fail("a block is listed twice")
    accuracy, drop = entry.require("accuracy"), entry.require("accuracy_drop")
    stated = drop_in(dataset, drop)
    if not abs(baseline - accuracy.number() - stated) <= TOLERANCE:
        drop.fail(f"{stated}, but the baseline {baseline} less the accuracy {accuracy.value} is another drop")
    return Trial(removed=removed, accuracy=accuracy.number(), drop=stated)
