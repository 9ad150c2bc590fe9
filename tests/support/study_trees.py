"""Folders of results as the pruning study leaves them, for tests to read, change and break."""

import json
import math
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.accuracy.study_drops import StudyDrops, read_study_drops
from profiles.evidence.combining.read_searches import RESULTS_FILE
from tests.support.paths import STUDY

Drops = Mapping[tuple[int, ...], float]


def results(drops: Iterable[tuple[tuple[int, ...], float]], *, baseline: float = 0.75) -> dict[str, Any]:
    """The document of one search."""
    return {
        "baseline_accuracy": baseline,
        "summary": [
            {
                "step": len(removed),
                "removed_block_indices": list(removed),
                "accuracy": baseline - drop,
                "accuracy_drop": drop,
            }
            for removed, drop in drops
        ],
    }


def write_results(folder: Path, dataset: str, document: Any, *, split: str = "train+validation") -> Path:
    """Write one search where the study puts it."""
    path = folder / dataset / split / RESULTS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def write_tree(folder: Path, drops: Mapping[str, Drops], *, baselines: Mapping[str, float] | None = None) -> Path:
    """Write the search of every data set."""
    for dataset, found in drops.items():
        write_results(folder, dataset, results(found.items(), baseline=(baselines or {}).get(dataset, 0.75)))
    return folder


def random_drops(rng: random.Random) -> dict[str, dict[tuple[int, ...], float]]:
    """A beam search of each of a few data sets, with drops on a coarse grid, so that many are equal, and some gains."""
    blocks, width = rng.randint(3, 7), rng.randint(1, 3)
    found: dict[str, dict[tuple[int, ...], float]] = {}
    for number in rng.sample(range(9), rng.randint(1, 5)):
        drops = found[f"set-{number}"] = {}
        beam: list[tuple[int, ...]] = [()]
        for _ in range(rng.randint(1, 4)):
            grown = {tuple(sorted({*one, block})) for one in beam for block in range(1, blocks) if block not in one}
            order = rng.sample(sorted(grown), len(grown))
            drops |= {one: rng.randint(-2, 12) / 64 for one in order if rng.random() < 0.9}
            beam = sorted(order, key=lambda one: drops.get(one, 1.0))[:width]
        drops[(0,)] = 40 / 64
    return found


def study_drops() -> StudyDrops:
    """What the study's documents report."""
    return read_study_drops(STUDY)


BASELINES = {
    "coco-caption": 0.25,
    "coco-2014-vqa": 0.8068,
    "tally-qa": 0.7548,
    "science-qa-img": 0.9172,
    "okvqa": 0.8318,
    "st-qa": 0.8318,
    "doc-qa": 0.8318,
    "text-vqa": 0.8318,
}
"""Accuracies of the whole model from which the study's mean accuracies follow."""


TRIED_ON = {(2, 12): ("science-qa-img", "okvqa", "coco-2014-vqa")}
"""What the least drops by task type tell: multiple choice has a combination of 3.04 points, four other types have
not."""


UNPRINTED = {(block,): 0.055 + 0.002 * block for block in (1, 2, 5, 8, 9, 10, 12, 13, 14, 15)}
"""The single blocks that the study tried and does not print: more than the fifth best loses."""


def study_tree(folder: Path) -> Path:
    """The study's reported combinations as results: drops whose mean and population spread are those printed, on the
    data sets it names, or on as many as it counts."""
    study = study_drops()
    drops: dict[str, dict[tuple[int, ...], float]] = {name: dict(UNPRINTED) for name in BASELINES}
    for one in study.drops:
        names = one.datasets or TRIED_ON.get(one.removed) or tuple(BASELINES)[-one.count :]
        for name, value in zip(names, spread_values(one.mean, one.std or 0.0, one.count), strict=True):
            drops[name][one.removed] = value
    return write_tree(folder, drops, baselines=BASELINES)


def spread_values(mean: float, std: float, count: int) -> list[float]:
    """So many values with this mean and this population standard deviation."""
    places = [number - (count - 1) / 2 for number in range(count)]
    scale = math.sqrt(sum(place * place for place in places) / count) or 1.0
    return [mean + std * place / scale for place in places]
