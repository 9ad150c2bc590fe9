"""`python -m profiles.demo.scores --checkpoint DIR --evidence DIR --out FILE` measures the demo model on held-out
images."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch

from profiles.datasets.digits.tasks import TASKS, make_samples
from profiles.demo.checkpoint import load_model, load_tokenizer
from profiles.demo.config_files import BLOCKS
from profiles.demo.options import checkpoint_option
from profiles.demo.predicting import Cut, Examinee
from profiles.demo.scoring import LONGEST_ANSWERS, METRICS, task_score

_log = logging.getLogger(__name__)

TEST_SEED = 2024
SAMPLES = 400


def named_cuts(recommended: Mapping[str, Mapping[str, Any]]) -> dict[str, Cut]:
    """What is scored: the whole model, each block alone removed, the recommended removals, and lower top_k after block
    0."""
    cuts = {"whole": Cut()}
    cuts |= {f"without block {block}": Cut(removed=(block,)) for block in range(BLOCKS)}
    cuts |= {
        f"recommended {count} removed": Cut(removed=tuple(step["removed_blocks"]))
        for count, step in recommended.items()
    }
    return cuts | {f"top_k {top_k}": Cut(top_k=top_k) for top_k in (6, 4, 2, 1)}


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
    torch.set_num_threads(1)
    model, tokenizer = load_model(checkpoint), load_tokenizer(checkpoint)
    cuts = named_cuts(json.loads((evidence / "pruning_recommendations.json").read_text(encoding="utf-8")))
    scores: dict[str, dict[str, float]] = {name: {} for name in cuts}
    for task in TASKS:
        examples = make_samples(task, "test", samples, seed=TEST_SEED)
        examinee = Examinee(model, tokenizer, examples, longest=LONGEST_ANSWERS[task])
        for name, cut in cuts.items():
            scores[name][task] = task_score(task, examples, examinee.answers(cut))
        _log.info("%s: %.4f whole", task, scores["whole"][task])
    rows = {
        name: {
            "removed_blocks": list(cut.removed),
            "top_k": cut.top_k,
            "average": sum(found.values()) / len(found),
            "scores": found,
        }
        for (name, cut), found in zip(cuts.items(), scores.values(), strict=True)
    }
    document = {"split": "test", "seed": TEST_SEED, "samples_per_task": samples, "metrics": METRICS, "results": rows}
    out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    click.echo(f"wrote {out}", err=True)


if __name__ == "__main__":
    main()
