"""The block configurations that an experiment can run: what is kept and removed at each depth, with importance scores
that make the study's tools remove exactly that."""

from collections.abc import Sequence
from typing import Any

from profiles.evidence.combining.combination import Combination, Removed, Study

CONFIGURATIONS_FILE = "block_configs_for_core_exp.json"


def configurations_document(study: Study, steps: Sequence[Combination]) -> dict[str, Any]:
    """The document `block_configs_for_core_exp.json`: one configuration for each set, the least removed first, and the
    whole model; drops are fractions.

    `importance_scores` of a configuration are 0 for the blocks that go and 1 for those that stay: given to whatever
    keeps the highest, exactly these go.
    """
    whole = [_configuration(study, (), None)]
    found = [*whole, *(_configuration(study, one.removed, one) for one in steps)]
    return {
        "num_total_blocks": study.blocks,
        "num_active_blocks_list": sorted(len(one["active_block_indices"]) for one in found),
        "configs": {str(one["num_active_blocks"]): one for one in found},
    }


def _configuration(study: Study, removed: Removed, one: Combination | None) -> dict[str, Any]:
    active = [block for block in range(study.blocks) if block not in removed]
    return {
        "num_active_blocks": len(active),
        "active_block_indices": active,
        "removed_block_indices": list(removed),
        "expected_accuracy_drop": 0.0 if one is None else one.mean,
        "std_accuracy_drop": None if one is None else one.std,
        "num_datasets": None if one is None else one.count,
        "importance_scores": {str(block): float(block not in removed) for block in range(study.blocks)},
    }
