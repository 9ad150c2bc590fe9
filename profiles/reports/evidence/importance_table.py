"""Importance of blocks as text: what each data set loses without each, beside its influence, and how they agree."""

from collections.abc import Sequence
from statistics import fmean

from profiles.evidence.importance import spearman
from profiles.evidence.measuring.importance_pass import BlockScores
from profiles.evidence.measuring.texts import LOG_LIKELIHOOD, perplexity
from runtime.text.tables import Column, show_table

POINTS = 100


def show_importance(found: Sequence[BlockScores], *, width: int | None) -> str:
    """A row a block: importance on each data set, the mean over its splits, and influence over all; then how the two
    rank the blocks alike. Accuracies are in points, likelihoods in nats a token."""
    names = [*dict.fromkeys(one.dataset for one in found if one.importance)]
    influence = [fmean(values) for values in zip(*(one.influence for one in found), strict=True)]
    measured = {name: _over_splits([one for one in found if one.dataset == name]) for name in names}
    blocks = sorted(measured[names[0]]) if names else list(range(len(influence)))
    rows = [
        [str(block), *(f"{measured[name][block]:.2f}" for name in names), f"{influence[block]:.4f}"] for block in blocks
    ]
    columns = [Column(head="block", right=True), *(Column(head=name, right=True) for name in names)]
    table = show_table([*columns, Column(head="influence", right=True)], rows, width=width)
    lines = [_agreement(name, measured[name], influence) for name in names if len(blocks) > 1]
    return "\n".join([table.rstrip("\n"), *lines, *_baselines(found)]) + "\n"


def _over_splits(splits: Sequence[BlockScores]) -> dict[int, float]:
    scale = 1 if splits[0].metric == LOG_LIKELIHOOD else POINTS
    return {block: scale * fmean(one.importance[block] for one in splits) for block in splits[0].importance}


def _agreement(name: str, importance: dict[int, float], influence: Sequence[float]) -> str:
    alike = spearman(importance, {block: influence[block] for block in importance})
    return f"{name}: rank correlation of importance and influence {alike:+.2f}"


def _baselines(found: Sequence[BlockScores]) -> list[str]:
    lines = []
    for one in found:
        if one.baseline is None:
            continue
        whole = (
            f"perplexity {perplexity(one.baseline):.2f}; importance in nats a token"
            if one.metric == LOG_LIKELIHOOD
            else f"{POINTS * one.baseline:.1f} by {one.metric}"
        )
        lines.append(f"{one.dataset} {one.split}: whole model {whole}")
    return lines
