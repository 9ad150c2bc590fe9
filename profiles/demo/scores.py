"""`python -m profiles.demo.scores --checkpoint DIR --evidence DIR --out FILE` measures the demo model on held-out
images."""

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from profiles.datasets.digits.dataset import LONGEST_ANSWERS, SEED, demo_dataset
from profiles.datasets.digits.tasks import TASKS
from profiles.demo.config_files import BLOCKS
from profiles.demo.options import checkpoint_option
from profiles.evidence.measuring.questions import Questions
from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.running.source_model import SourceModel, open_source_model

_log = logging.getLogger(__name__)

SAMPLES = 400
BATCH_SIZE = 80
SOURCE_TOP_K = 8


def named_cuts(recommended: Mapping[str, Mapping[str, Any]]) -> dict[str, Cut]:
    """What is scored: the whole model, each block alone removed, the recommended removals, and lower top_k after block
    0."""
    cuts = {"whole": WHOLE}
    cuts |= {f"without block {block}": Cut(removed=(block,)) for block in range(BLOCKS)}
    cuts |= {
        f"recommended {count} removed": Cut(removed=tuple(step["removed_blocks"]))
        for count, step in recommended.items()
    }
    return cuts | {f"top_k {top_k}": _fewer_experts(top_k) for top_k in (6, 4, 2, 1)}


def _fewer_experts(top_k: int) -> Cut:
    """All blocks after block 0 with so many experts."""
    return Cut(top_k=tuple((block, top_k) for block in range(1, BLOCKS)))


def score_cuts(model: SourceModel, task: str, cuts: Collection[Cut], samples: int) -> dict[Cut, float]:
    """The accuracy of every cut on held-out samples of a task."""
    dataset = demo_dataset(task, samples)
    settings = replace(dataset.settings, max_new_tokens=LONGEST_ANSWERS[task])
    questions = Questions(model, replace(dataset, settings=settings), batch_size=BATCH_SIZE)
    found = [questions.rows(batch, list(cuts), whole=None, ran=lambda: None) for batch in range(questions.batches)]
    return {cut: questions.score([rows[cut] for rows in found]) for cut in cuts}


@click.command()
@checkpoint_option
@click.option(
    "--evidence",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="The evidence folder.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The scores file to write.")
@click.option("--samples", default=SAMPLES, show_default=True, help="Samples per task.")
def main(checkpoint: Path, evidence: Path, out: Path, samples: int) -> None:
    """Score the demo model, whole and cut, on images that neither training nor evidence has seen."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    model = open_source_model(checkpoint, device="cpu", threads=1)
    cuts = named_cuts(json.loads((evidence / "pruning_recommendations.json").read_text(encoding="utf-8")))
    scores: dict[str, dict[str, float]] = {name: {} for name in cuts}
    metrics: dict[str, str] = {}
    for task in TASKS:
        found = score_cuts(model, task, cuts.values(), samples)
        for name, cut in cuts.items():
            scores[name][task] = found[cut]
        metrics[task] = demo_dataset(task, 1).settings.metric
        _log.info("%s: %.4f whole", task, scores["whole"][task])
    rows = {
        name: {
            "removed_blocks": list(cut.removed),
            "top_k": cut.top_k[0][1] if cut.top_k else SOURCE_TOP_K,
            "average": sum(found.values()) / len(found),
            "scores": found,
        }
        for (name, cut), found in zip(cuts.items(), scores.values(), strict=True)
    }
    document = {"split": "test", "seed": SEED, "samples_per_task": samples, "metrics": metrics, "results": rows}
    out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    click.echo(f"wrote {out}", err=True)


if __name__ == "__main__":
    main()
