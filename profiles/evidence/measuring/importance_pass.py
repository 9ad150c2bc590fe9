"""The sensitivity of every block of a model on every split, and its influence, as the pruning study's files.

In `<out>/<dataset>/<split>/`: `sensitivity_block_<i>.json` a block and `block_influence.json`; in `<out>/<dataset>/`,
where both are measured, `importance_comparison_<dataset>.json` of the splits train and validation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles.datasets.splits import TRAIN, VALIDATION
from profiles.errors import MeasurementError
from profiles.evidence.importance import Sensitivity, comparison, keyed, read_sensitivity, sensitivity
from profiles.evidence.measuring.exam import Exam, Progress
from profiles.evidence.measuring.open_exams import split_folder
from profiles.evidence.measuring.texts import LOG_LIKELIHOOD, perplexity
from profiles.evidence.running.cut import WHOLE, Cut, as_tree
from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import dump_document, read_document

INFLUENCE = "block_influence.json"
DEFINITION = "1 - mean cosine of a block's input and output over tokens (ShortGPT, arXiv:2403.03853)"


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockScores:
    """What is known of the blocks on one split: `importance` by block, what the split loses without it, empty where it
    was not asked for; `influence` of each; `baseline`, the score of the whole model, None where nothing was
    measured."""

    dataset: str
    split: str
    metric: str
    baseline: float | None
    importance: Mapping[int, float]
    influence: tuple[float, ...]


def sensitivity_name(block: int) -> str:
    """The study's name for the sensitivity of one block."""
    return f"sensitivity_block_{block}.json"


def chosen_blocks(asked: Sequence[int], blocks: int) -> tuple[int, ...]:
    """The blocks to measure, ascending: those asked for, or all. Raises MeasurementError for one that the model has
    not."""
    for block in asked:
        if not 0 <= block < blocks:
            raise MeasurementError(f"no block {block}: the model has blocks 0–{blocks - 1}")
    return tuple(sorted(set(asked))) or tuple(range(blocks))


def expected_seconds(exams: Sequence[Exam], blocks: Sequence[int], model_blocks: int) -> float | None:
    """How long measuring everything anew would take, by the pace on a first batch of each split; None where that is
    known already."""
    runs = model_blocks * (2 if blocks else 1) + as_tree([Cut(removed=(block,)) for block in blocks], model_blocks).runs
    found = [(exam.pace(), exam.batches) for exam in exams]
    known = [pace * batches * runs for pace, batches in found if pace is not None]
    return sum(known) / len(known) * len(found) if known else None


def measure_importance(
    exams: Sequence[Exam], blocks: Sequence[int], out: Path, progress: Progress
) -> tuple[BlockScores, ...]:
    """Measure the influence of all blocks and the sensitivity of `blocks` (perhaps none) on each split.

    Files that are there already are taken as they are, the rest is measured: killed and run again, or asked for further
    blocks, it does what is left.
    """
    found = []
    for exam in exams:
        folder = split_folder(out, exam.name, exam.split)
        influence = _influence(exam, folder, progress)
        entries = _sensitivities(exam, blocks, folder, progress)
        found.append(
            BlockScores(
                dataset=exam.name,
                split=exam.split,
                metric=exam.metric,
                baseline=entries[blocks[0]].baseline if blocks else None,
                importance={block: entries[block].importance for block in blocks},
                influence=influence,
            )
        )
    for dataset, train, validation in _pairs(found):
        name = f"importance_comparison_{dataset}.json"
        _write(out / dataset / name, comparison(dataset, train.importance, validation.importance))
    return tuple(found)


def _influence(exam: Exam, folder: Path, progress: Progress) -> tuple[float, ...]:
    path = folder / INFLUENCE
    if path.is_file():
        return tuple(entry.number() for _, entry in read_document(path).require("scores").items())
    scores = exam.influence(progress)
    document = {"dataset_name": exam.name, "split": exam.split, "num_samples": exam.count, "definition": DEFINITION}
    _write(path, document | {"scores": keyed(dict(enumerate(scores)))})
    return scores


def _sensitivities(exam: Exam, blocks: Sequence[int], folder: Path, progress: Progress) -> dict[int, Sensitivity]:
    """The sensitivity by block."""
    lacking = [block for block in blocks if not (folder / sensitivity_name(block)).is_file()]
    if lacking:
        cuts = {block: Cut(removed=(block,)) for block in lacking}
        scores = exam.measure([WHOLE, *cuts.values()], progress)
        for block, cut in cuts.items():
            _write(folder / sensitivity_name(block), _document(exam, block, scores[WHOLE], scores[cut]))
        exam.forget()
    return {block: read_sensitivity(folder / sensitivity_name(block)) for block in blocks}


def _document(exam: Exam, block: int, baseline: float, ablated: float) -> dict[str, Any]:
    document = sensitivity(
        block, baseline=baseline, ablated=ablated, samples=exam.count, dataset=exam.name, split=exam.split
    )
    if exam.metric != LOG_LIKELIHOOD:
        return document
    perplexities = {"baseline_perplexity": perplexity(baseline), "ablated_perplexity": perplexity(ablated)}
    return document | {"metric": exam.metric} | perplexities


def _pairs(found: Sequence[BlockScores]) -> list[tuple[str, BlockScores, BlockScores]]:
    """The data sets of which both splits were measured."""
    by_place = {(one.dataset, one.split): one for one in found if one.importance}
    names = dict.fromkeys(one.dataset for one in found)
    return [
        (name, by_place[name, TRAIN], by_place[name, VALIDATION])
        for name in names
        if (name, TRAIN) in by_place and (name, VALIDATION) in by_place
    ]


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, dump_document(document))
