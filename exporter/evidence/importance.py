"""Importance scores as the pruning study's merge script writes them: layer_importance_scores_simple.json, the flat form
`{"1": 0.04, …}`, and layer_importance_scores_full.json, which holds it beside how it was merged."""

from exporter.evidence.evidence import block_key
from runtime.documents.checked_json import Node

SCORE_KEYS = ("merged_scores", "importance_scores", "layer_importance_scores", "scores")


def read_scores(node: Node, *, blocks: int) -> tuple[tuple[int, float], ...]:
    """Block and score in file order. Higher = keep. Raises DocumentError naming file and place.

    An object whose keys are all block indices is the flat form. Any other is the full form: the scores stand, in the
    flat form, under exactly one of the keys `SCORE_KEYS`; what else it holds (method, weights, scores per data set,
    ranking) is not read.
    """
    keys = [key for key, _ in node.items()]
    if any(key.isdigit() for key in keys) or not keys:
        return _flat(node, blocks=blocks)
    given = [key for key in SCORE_KEYS if key in keys]
    if not given:
        node.fail(f"no importance scores: the keys are neither block indices nor one of {', '.join(SCORE_KEYS)}")
    if len(given) > 1:
        node.fail(f"the keys {' and '.join(given)} both hold scores; which is meant is not clear")
    return _flat(node.require(given[0]), blocks=blocks)


def _flat(node: Node, *, blocks: int) -> tuple[tuple[int, float], ...]:
    scores = tuple((block_key(key, entry, blocks=blocks), entry.number()) for key, entry in node.items())
    if not scores:
        node.fail("holds no score")
    return scores
