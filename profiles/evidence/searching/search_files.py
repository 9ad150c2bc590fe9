"""The files of a search as the pruning study's scripts write them: one a configuration, and one with all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles.evidence.searching.beam_search import Beam, Removed, Step
from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import Node, dump_document, read_document

RESULTS = "exp3_accuracy_sensitivity_v2_results.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a search measured on: a data set by name and split, how many samples, and the id of the metric."""

    dataset: str
    split: str
    samples: int
    metric: str


def configuration_path(folder: Path, removed: Removed, blocks: int) -> Path:
    """Where the accuracy without these blocks stands."""
    listed = "-".join(map(str, removed))
    return folder / f"beam_search_step{len(removed)}_blocks{blocks - len(removed)}_removed{listed}.json"


def write_configuration(folder: Path, removed: Removed, blocks: int, accuracy: float) -> None:
    """Write the file of one configuration."""
    document = {
        "step": len(removed),
        "num_active_blocks": blocks - len(removed),
        "num_total_blocks": blocks,
        "active_block_indices": [block for block in range(blocks) if block not in removed],
        "removed_block_indices": list(removed),
        "accuracy": accuracy,
    }
    write_atomically(configuration_path(folder, removed, blocks), dump_document(document))


def read_configuration(folder: Path, removed: Removed, blocks: int) -> float | None:
    """The accuracy without these blocks, None where it has no file. Raises DocumentError for a file of others."""
    path = configuration_path(folder, removed, blocks)
    if not path.is_file():
        return None
    node = read_document(path)
    listed = node.require("removed_block_indices")
    if tuple(_blocks(listed)) != removed or node.require("num_total_blocks").integer() != blocks:
        listed.fail(f"{listed.value} of {node.require('num_total_blocks').value} blocks, under the name {path.name}")
    return node.require("accuracy").number()


def _blocks(node: Node) -> list[int]:
    return [entry.integer(minimum=0) for entry in node.elements()]


def results_document(subject: Subject, beam: Beam, baseline: float, steps: Sequence[Step]) -> dict[str, Any]:
    """The document `exp3_accuracy_sensitivity_v2_results.json`: the accuracy and the drop of every configuration."""
    return {
        "dataset_name": subject.dataset,
        "split": subject.split,
        "metric": subject.metric,
        "num_samples": subject.samples,
        "num_total_blocks": beam.blocks,
        "beam_width": beam.width,
        "max_blocks_removed": beam.most_removed,
        "baseline_accuracy": baseline,
        "summary": [
            {
                "step": entry.step,
                "removed_block_indices": list(entry.removed),
                "accuracy": entry.accuracy,
                "accuracy_drop": baseline - entry.accuracy,
            }
            for entry in steps
        ],
    }
