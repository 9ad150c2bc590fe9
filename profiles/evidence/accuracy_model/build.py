"""An accuracy model of a checkpoint: settings are chosen, measured and fitted in turn, until there are enough; then
others are measured to see how far off the predictions are."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from msgspec.structs import replace

from profiles.evidence.accuracy_model.design import POOL, first_settings, least_known, random_settings
from profiles.evidence.accuracy_model.fit import MeasuredTask, fit_task
from runtime.accuracy.frontier import Allowed
from runtime.accuracy.predictor import Estimate, Predictor
from runtime.documents.accuracy.accuracy_model import AccuracyModel, Domain, HeldOut, Score, Setting, TaskModel

ROUND = 10
MEASURED_LATER = "measured later"
"""How HeldOut says that settings were drawn by chance and measured once the fit was done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A data set that is measured, by name, metric and number of samples."""

    name: str
    metric: str
    samples: int


Measure = Callable[[Sequence[Setting]], Mapping[str, Sequence[float]]]
"""Scores (shares) of settings by task, one a setting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to build: a model of the checkpoint of digest `source_digest` over what is `allowed`, from `count` settings,
    tried on `held_out` others; draws are by `seed`, intervals at `level`."""

    source_digest: str
    allowed: Allowed
    tasks: tuple[Task, ...]
    count: int
    held_out: int
    seed: int = 0
    level: float = 0.9


def build_model(request: Request, measure: Measure) -> AccuracyModel:
    """The model. Raises DocumentError where there are too few settings to fit one, and what `measure` raises."""
    rng = random.Random(request.seed)
    known = first_settings(request.allowed)[: request.count]
    scores = measure(known)
    model = _fitted(request, known, scores)
    while len(known) < request.count:
        pool = [one for one in random_settings(request.allowed, POOL, rng) if one not in known]
        added = least_known(model, known, pool, min(ROUND, request.count - len(known)))
        if not added:
            break
        found = measure(added)
        known, scores = (*known, *added), {task: (*old, *found[task]) for task, old in scores.items()}
        model = _fitted(request, known, scores)
    return _tried(request, model, measure, rng) if request.held_out else model


def _fitted(request: Request, known: Sequence[Setting], scores: Mapping[str, Sequence[float]]) -> AccuracyModel:
    allowed = request.allowed
    blocks, top_k = len(allowed.top_k), max(max(ks) for ks in allowed.top_k.values())
    tasks = []
    for task in request.tasks:
        found = [
            Score(setting=place, score=score, error=math.sqrt(score * (1 - score) / task.samples))
            for place, score in enumerate(scores[task.name])
        ]
        measured = MeasuredTask(task=task.name, metric=task.metric, samples=task.samples, scores=tuple(found))
        tasks.append(fit_task(measured, known, blocks=blocks, top_k=top_k, level=request.level))
    return AccuracyModel(
        trimoe=version("trimoe"),
        source_digest=request.source_digest,
        blocks=blocks,
        top_k=top_k,
        level=request.level,
        settings=tuple(known),
        tasks=tuple(tasks),
        domain=Domain(
            most_removed=max(blocks - len(one.layers) for one in known),
            least_top_k=min(min(one.top_k) for one in known),
        ),
    )


def _tried(request: Request, model: AccuracyModel, measure: Measure, rng: random.Random) -> AccuracyModel:
    """The same, with its errors on settings that are drawn and measured now."""
    drawn = random_settings(request.allowed, request.held_out + len(model.settings), rng)
    others = [one for one in drawn if one not in model.settings][: request.held_out]
    if not others:
        return model
    found, predictor = measure(others), Predictor(model)
    tasks = (_with_errors(task, predictor.predict(others, task.task), found[task.task]) for task in model.tasks)
    return replace(model, tasks=tuple(tasks))


def _with_errors(task: TaskModel, predicted: Sequence[Estimate], scores: Sequence[float]) -> TaskModel:
    pairs = list(zip(predicted, scores, strict=True))
    later = HeldOut(
        by=MEASURED_LATER,
        settings=len(pairs),
        mean_error=sum(abs(one.score - score) for one, score in pairs) / len(pairs),
        coverage=sum(one.low <= score <= one.high for one, score in pairs) / len(pairs),
    )
    return replace(task, held_out=(*task.held_out, later))
