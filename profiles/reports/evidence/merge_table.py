"""A merged ranking of blocks as text: scores, the least and the most important, how data sets and splits agree."""

from profiles.evidence.merging.merge import Merged
from runtime.text.tables import Column, show_table


def show_merged(merged: Merged, *, width: int | None) -> str:
    """A row a block, the least important first, then the agreement of data sets and splits."""
    names = list(merged.datasets)
    parts = {name: one.merged for name, one in merged.datasets.items()}
    columns = [Column(head=head, right=True) for head in ("block", "merged", *names)]
    rows = [
        [str(block), f"{merged.scores[block]:.4f}", *(f"{parts[name][block]:.4f}" for name in names)]
        for block in reversed(merged.ranking)
    ]
    weights = {} if merged.weights is None else merged.weights
    lines = [
        show_table(columns, rows, width=width).rstrip("\n"),
        f"{merged.method} of {len(names)} data sets",
        *(f"  weight of {name}: {share:.4f}" for name, share in weights.items()),
        f"least important: {_listed(merged.least)}",
        f"most important: {_listed(merged.most)}",
        "rank correlations",
    ]
    lines += [f"  {name}, train and validation: {value:+.2f}" for name, value in merged.split_correlations.items()]
    lines += [f"  {one} and {other}: {value:+.2f}" for (one, other), value in merged.dataset_correlations.items()]
    alone = [name for name, one in merged.datasets.items() if one.validation is None]
    lines += [f"  {name}: one split was measured, which counts alone" for name in alone]
    return "\n".join(lines) + "\n"


def _listed(blocks: tuple[int, ...]) -> str:
    return ", ".join(map(str, blocks))
