"""Trains the demo model: the vision tower as a classifier of cells, then everything on the five tasks."""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from profiles.datasets.digits.tasks import make_cells, make_sample
from profiles.demo.cutting import dropped_blocks, without_blocks
from profiles.demo.encoding import Batch, encode_images, encode_samples
from profiles.demo.training.balance import recorded_routers
from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM
from runtime.modeling.vision_trimoe_molmoe import TrimoeMolmoeVisionBackbone

_log = logging.getLogger(__name__)

MIXTURE = (
    "digits-vqa",
    "digits-count",
    "digits-mc",
    "digits-read",
    "digits-vqa",
    "digits-count",
    "digits-mc",
    "digits-caption",
)
"""Reading and captions are learnt soonest, for their answers are long; the three with short answers come twice as
often."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Numbers of steps are fixed, not the time, so that a run can be repeated.

    Blocks after block 0 are dropped with `drop_probability` in the last `drop_steps` steps only: from the first step on
    it prevents learning.
    """

    seed: int = 7
    batch: int = 64
    vision_steps: int = 600
    steps: int = 1200
    drop_steps: int = 600
    drop_probability: float = 0.04
    learning_rate: float = 2e-3
    vision_learning_rate: float = 5e-4
    warmup_steps: int = 60
    balance_weight: float = 0.01
    clip: float = 1.0


def _rate(step: int, steps: int, warmup: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1))) + 1e-3


def _optimizer(
    groups: list[dict[str, Any]], steps: int, warmup: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps, warmup))


def _vision_backbone(model: TrimoeMolmoeForCausalLM) -> TrimoeMolmoeVisionBackbone:
    """The vision tower with its pooling and projector, which the demo model has."""
    backbone = model.model.vision_backbone
    assert backbone is not None
    return backbone


def train_vision(model: TrimoeMolmoeForCausalLM, recipe: Recipe) -> float:
    """Teaches vision tower, pooling and projector to tell the digits; returns the share of cells right in the last 20
    steps."""
    backbone = _vision_backbone(model)
    head = nn.Linear(model.config.d_model, 11)
    optimizer, schedule = _optimizer(
        [{"params": [*backbone.parameters(), *head.parameters()], "lr": recipe.learning_rate}], recipe.vision_steps, 20
    )
    recent = []
    for step in range(recipe.vision_steps):
        canvases, cells = zip(
            *(make_cells("train", step * recipe.batch + row, seed=recipe.seed) for row in range(recipe.batch)),
            strict=True,
        )
        images, masks, places = encode_images(np.stack(canvases))
        labels = torch.from_numpy(np.stack(cells))
        features = backbone(images, masks)[:, 1:].flatten(1, 2)[places[:, 1:].flatten(1) >= 0]
        logits = head(features)
        wanted = _crop_order(labels).flatten()
        loss = nn.functional.cross_entropy(logits, wanted)
        _step(loss, optimizer, schedule, backbone.parameters(), recipe.clip)
        recent.append(float((logits.argmax(-1) == wanted).float().mean()))
        if step % 50 == 49:
            _log.info("vision step %d: loss %.3f, cells right %.3f", step + 1, float(loss.detach()), recent[-1])
    return float(np.mean(recent[-20:]))


def _crop_order(cells: torch.Tensor) -> torch.Tensor:
    """Cells B × 2 × 4 in the order in which the crops show them: the first crop's four, then two for each later crop. B
    × 8."""
    return torch.cat((cells[:, :, :2].flatten(1), cells[:, :, 2], cells[:, :, 3]), dim=1)


def _step(
    loss: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    parameters: Iterable[nn.Parameter],
    clip: float,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    schedule.step()


def training_batch(step: int, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Batch:
    """The samples of one step: the tasks of `MIXTURE` in turn, augmented, on images of the training split."""
    numbers = range(step * recipe.batch, (step + 1) * recipe.batch)
    samples = [
        make_sample(MIXTURE[number % len(MIXTURE)], "train", number, seed=recipe.seed, augment=True)
        for number in numbers
    ]
    return encode_samples(samples, tokenizer)


def answer_loss(model: TrimoeMolmoeForCausalLM, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy of the answer tokens, averaged within each answer and then over answers, and the share of tokens
    predicted right.

    Averaged over all tokens, the long captions would leave little for one-letter answers.
    """
    hidden = model.model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        images=batch.images,
        image_masks=batch.image_masks,
        image_input_idx=batch.image_input_idx,
        use_cache=False,
    ).last_hidden_state
    wanted = batch.labels[:, 1:]
    learnt = wanted >= 0
    logits = model.lm_head(hidden[:, :-1][learnt])
    losses = nn.functional.cross_entropy(logits, wanted[learnt], reduction="none")
    weights = (1 / learnt.sum(1, keepdim=True)).expand(learnt.shape)[learnt]
    return (losses * weights).sum() / len(wanted), (logits.argmax(-1) == wanted[learnt]).float().mean()


def train_language(
    model: TrimoeMolmoeForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    recipe: Recipe,
    after_step: Callable[[int], None] = lambda step: None,
) -> None:
    """Trains all parameters on the answers of the five tasks; `after_step` is told the number of steps done."""
    backbone = list(_vision_backbone(model).parameters())
    seen = {id(parameter) for parameter in backbone}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in seen]
    groups = [{"params": rest, "lr": recipe.learning_rate}, {"params": backbone, "lr": recipe.vision_learning_rate}]
    total = recipe.steps + recipe.drop_steps
    optimizer, schedule = _optimizer(groups, total, recipe.warmup_steps)
    drops = torch.Generator().manual_seed(recipe.seed)
    for step in range(total):
        batch = training_batch(step, recipe, tokenizer)
        dropped = dropped_blocks(drops, recipe.drop_probability) if step >= recipe.steps else ()
        with without_blocks(model, dropped), recorded_routers(model) as routers:
            loss, right = answer_loss(model, batch)
        balance = routers.loss(batch.attention_mask)
        _step(loss + recipe.balance_weight * balance, optimizer, schedule, model.parameters(), recipe.clip)
        if step % 25 == 24:
            _log.info(
                "step %d of %d: loss %.3f, tokens right %.3f, balance %.2f",
                step + 1,
                total,
                float(loss.detach()),
                float(right),
                float(balance.detach()),
            )
        after_step(step + 1)
