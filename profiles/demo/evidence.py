"""`python -m profiles.demo.evidence --checkpoint DIR --out DIR` measures the demo model's pruning evidence on the
calibration images."""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from exporter.evidence.evidence import DEFAULT_MIN_DATASETS, STEPWISE
from profiles.datasets.changes import Changes
from profiles.datasets.digits.dataset import CALIBRATION
from profiles.datasets.digits.tasks import TASKS
from profiles.datasets.named import DEMO
from profiles.datasets.splits import Split, joined, load_splits
from profiles.demo.config_files import BLOCKS
from profiles.demo.options import checkpoint_option
from profiles.evidence.combining.analysis import ANALYSIS_FILE, analysis_document
from profiles.evidence.combining.combination import Study
from profiles.evidence.combining.read_searches import read_search
from profiles.evidence.combining.recommend import RECOMMENDATIONS_FILE, recommendations_document
from profiles.evidence.combining.rules import chosen_by
from profiles.evidence.combining.study import study_of
from profiles.evidence.measuring.importance_pass import measure_importance, sensitivity_name
from profiles.evidence.measuring.open_exams import open_exams
from profiles.evidence.merging.merge import DatasetScores, full_document, merge, simple_document
from profiles.evidence.running.source_model import SourceModel, open_source_model
from profiles.evidence.searching.beam_search import PROTECTED, Beam, all_candidates
from profiles.evidence.searching.search import search_each
from profiles.evidence.searching.search_files import RESULTS
from profiles.reports.evidence.run_progress import RunProgress
from runtime.documents.checked_json import Node

BOTH_HALVES = "+".join(CALIBRATION)
BEAM_WIDTH = 3
MOST_REMOVED = 4
BATCH_SIZE = 75


def measure_all(model: SourceModel, splits: Sequence[Split], folder: Path) -> None:
    """Measure the sensitivity of every block, and search, into `folder`; killed and run again, it carries on."""
    progress = RunProgress(sys.stderr)
    with open_exams(model, splits, folder / "sensitivity", batch_size=BATCH_SIZE) as exams:
        measure_importance(exams, range(BLOCKS), folder / "sensitivity", progress)
    beam = Beam(blocks=BLOCKS, width=BEAM_WIDTH, most_removed=MOST_REMOVED, candidates=all_candidates(BLOCKS))
    with open_exams(model, joined(splits), folder / "search", batch_size=BATCH_SIZE) as exams:
        search_each(exams, beam, folder / "search", progress)


def measured_documents(folder: Path) -> dict[str, Any]:
    """File name → document of all that was measured into `folder`, names relative to the evidence folder."""
    names = {
        f"sensitivity/{task}/{half}/{sensitivity_name(block)}": f"sensitivity/{task}/{half}/{sensitivity_name(block)}"
        for task in TASKS
        for half in CALIBRATION
        for block in range(BLOCKS)
    }
    for task in TASKS:
        comparison = f"importance_comparison_{task}.json"
        names |= {f"importance/{task}/{comparison}": f"sensitivity/{task}/{comparison}"}
        names |= {search_name(task): search_name(task)}
    return {name: json.loads((folder / source).read_bytes()) for name, source in names.items()}


def search_name(task: str) -> str:
    """Where a task's search results lie in the evidence folder."""
    return f"search/{task}/{BOTH_HALVES}/{RESULTS}"


def conclude(documents: Mapping[str, Any]) -> dict[str, Any]:
    """The documents that follow from the measured ones: merged importance, analysis and recommendations."""
    found = {task: documents[f"importance/{task}/importance_comparison_{task}.json"] for task in TASKS}
    merged = merge(
        {
            task: DatasetScores(train=_blocks(entry["train_scores"]), validation=_blocks(entry["validation_scores"]))
            for task, entry in found.items()
        }
    )
    study = _study(documents)
    steps = chosen_by(study, STEPWISE, protected=(PROTECTED,), min_datasets=DEFAULT_MIN_DATASETS)
    return {
        "layer_importance_scores_full.json": full_document(merged),
        "layer_importance_scores_simple.json": simple_document(merged),
        ANALYSIS_FILE: analysis_document(study),
        RECOMMENDATIONS_FILE: recommendations_document(steps),
    }


def _study(documents: Mapping[str, Any]) -> Study:
    nodes = [(task, Node(value=documents[search_name(task)], file=search_name(task))) for task in TASKS]
    searches = [read_search(node, dataset=task, split=BOTH_HALVES) for task, node in nodes]
    return study_of(searches, source="the measured searches", blocks=BLOCKS)


def _blocks(scores: Mapping[str, float]) -> dict[int, float]:
    return {int(block): score for block, score in scores.items()}


def write_documents(folder: Path, documents: Mapping[str, Any]) -> None:
    """Writes each document as JSON under its name."""
    for name, document in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


@click.command()
@checkpoint_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the evidence to write."
)
@click.option("--limit", type=click.IntRange(min=1), help="Samples per task and calibration half  [default: all 150]")
def main(checkpoint: Path, out: Path, limit: int | None) -> None:
    """Measure importance of each block and search for blocks to remove, on calibration images only. What is measured
    first stands beside OUT, in OUT.measured."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    measured = out.with_name(f"{out.name}.measured")
    model = open_source_model(checkpoint, device="cpu", threads=1)
    measure_all(model, load_splits([DEMO], Changes(limit=limit)), measured)
    documents = measured_documents(measured)
    write_documents(out, documents | conclude(documents))
    click.echo(f"wrote {out}", err=True)


if __name__ == "__main__":
    main()
