"""Baselines as tables: every score with its interval, and depth × top_k × task for a README."""

from collections.abc import Sequence

from runtime.documents.baseline import Baseline, ScoreRecord
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.text.tables import Column, show_table

COLUMNS = (
    Column(head="variant"),
    Column(head="engine"),
    Column(head="dtype"),
    Column(head="data set"),
    Column(head="score", right=True),
    Column(head="interval"),
    Column(head="samples", right=True),
)


def show_scores(baseline: Baseline, *, width: int | None) -> str:
    """One row a score, task types apart, in lines of at most `width` columns (None: nothing is wrapped); scores in
    points (hundredths)."""
    tasks = list(dict.fromkeys(score.dataset.task for score in baseline.scores))
    scores = sorted(baseline.scores, key=lambda score: tasks.index(score.dataset.task))
    groups = [score.dataset.task for score in scores]
    return show_table(COLUMNS, [_row(score) for score in scores], width=width, groups=groups) + "\n"


def _row(score: ScoreRecord) -> tuple[str, ...]:
    interval = f"[{points(score.interval.low)}, {points(score.interval.high)}]"
    form = (score.variant, score.engine, score.dtype, score.dataset.name)
    return (*form, points(score.score), interval, str(score.dataset.samples))


def points(value: float) -> str:
    """A score in hundredths with one decimal."""
    return f"{100 * value:.1f}"


def markdown_table(baseline: Baseline, manifest: Manifest, *, engine: str, dtype: str) -> str:
    """A table of Markdown: a row a variant with blocks, removed blocks and experts per token, a column a data set, and
    their mean."""
    scores = {
        (score.variant, score.dataset.name): score
        for score in baseline.scores
        if score.engine == engine and score.dtype == dtype
    }
    names = list(dict.fromkeys(name for _, name in scores))
    rows = [["blocks", "removed", "top_k", *names, "mean"], ["---"] * (len(names) + 4)]
    for variant in manifest.variants:
        found = [scores[variant.id, name].score for name in names if (variant.id, name) in scores]
        if len(found) == len(names):
            rows.append([*_shape(variant), *map(points, found), points(sum(found) / len(found))])
    return _joined(rows)


def _shape(variant: VariantRecord) -> list[str]:
    removed = ", ".join(map(str, variant.removed)) or "none"
    top_k = "dense" if variant.top_k is None else str(variant.top_k[-1])
    return [str(len(variant.layers)), removed, top_k]


def _joined(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
