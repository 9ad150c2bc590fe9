"""`python -m profiles.demo.evidence --checkpoint DIR --out DIR` measures the demo model's pruning evidence on the
calibration images."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch

from exporter.evidence.evidence import DEFAULT_MIN_DATASETS, STEPWISE
from profiles.datasets.digits.tasks import TASKS
from profiles.demo.checkpoint import load_model, load_tokenizer
from profiles.demo.config_files import BLOCKS
from profiles.demo.measuring import BOTH_HALVES, HALVES, Measurement
from profiles.demo.options import checkpoint_option
from profiles.evidence.beam_search import PROTECTED
from profiles.evidence.combining.analysis import ANALYSIS_FILE, analysis_document
from profiles.evidence.combining.combination import Study
from profiles.evidence.combining.read_searches import read_search
from profiles.evidence.combining.recommend import RECOMMENDATIONS_FILE, recommendations_document
from profiles.evidence.combining.rules import chosen_by
from profiles.evidence.combining.study import study_of
from profiles.evidence.importance import comparison
from profiles.evidence.merging.merge import DatasetScores, full_document, merge, simple_document
from runtime.documents.checked_json import Node

_log = logging.getLogger(__name__)

CALIBRATION_SEED = 11
SAMPLES_PER_HALF = 150


def measure_task(measurement: Measurement) -> dict[str, Any]:
    """File name → document for one task, names relative to the evidence folder."""
    task, blocks = measurement.task, range(BLOCKS)
    documents: dict[str, Any] = {}
    scores: dict[str, dict[int, float]] = {}
    for half in HALVES:
        found = {block: measurement.sensitivity(block, half) for block in blocks}
        documents |= {
            f"sensitivity/{task}/{half}/sensitivity_block_{block}.json": entry for block, entry in found.items()
        }
        scores[half] = {block: entry["importance_score"] for block, entry in found.items()}
    documents[f"importance/{task}/importance_comparison_{task}.json"] = comparison(
        task, scores["train"], scores["validation"]
    )
    documents[search_name(task)] = measurement.search()
    return documents


def search_name(task: str) -> str:
    """Where a task's search results lie in the evidence folder."""
    return f"search/{task}/{BOTH_HALVES}/exp3_accuracy_sensitivity_v2_results.json"


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
@click.option("--samples", default=SAMPLES_PER_HALF, show_default=True, help="Samples per task and calibration half.")
def main(checkpoint: Path, out: Path, samples: int) -> None:
    """Measure importance of each block and search for blocks to remove, on calibration images only."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    model, tokenizer = load_model(checkpoint), load_tokenizer(checkpoint)
    documents: dict[str, Any] = {}
    for task in TASKS:
        begun = time.monotonic()
        documents |= measure_task(
            Measurement(task=task, count=samples, seed=CALIBRATION_SEED, model=model, tokenizer=tokenizer)
        )
        _log.info("%s measured in %.0f s", task, time.monotonic() - begun)
    write_documents(out, documents | conclude(documents))
    click.echo(f"wrote {out}", err=True)


if __name__ == "__main__":
    main()
