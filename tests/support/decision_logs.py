"""Requests, candidates and decision logs that exist as values only."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from profiles.benchmarks.made_up_family import (
    DTYPE,
    ENGINE,
    TASK,
    made_up_baseline,
    made_up_estimator,
    made_up_manifest,
)
from runtime.documents.family_digest import family_digest
from runtime.documents.manifest import Manifest
from runtime.latency.estimator import Estimator
from runtime.selection.candidate import Accuracy, Candidate
from runtime.selection.choice import NoFeasibleVariantError
from runtime.selection.choose import choose
from runtime.serving.answer import STOP, Timing
from runtime.serving.decisions.log import DecisionLog
from runtime.serving.decisions.make_record import (
    ahead_record,
    candidate_records,
    outcome_record,
    wish_record,
    work_record,
)
from runtime.serving.decisions.record import Decision, LogHeader
from runtime.serving.forecasting.accuracies import Accuracies
from runtime.serving.forecasting.chooser import demand_of
from runtime.serving.forecasting.forecast import Forecaster
from runtime.serving.forecasting.lengths import Length
from runtime.serving.forecasting.work import Ahead, Work
from runtime.serving.request import Wish

MANIFEST = made_up_manifest()


def candidate(
    variant: str = "b16-k8",
    *,
    score: float | None = 0.9,
    low: float | None = None,
    ms: float | None = 100.0,
    upper: float | None = None,
    measured: bool = True,
    **more: Any,
) -> Candidate:
    """A candidate; `low` is 0.02 below the score, `upper` a fifth above `ms`, where they are not given."""
    accuracy = None
    if score is not None:
        accuracy = Accuracy(score=score, low=score - 0.02 if low is None else low, measured=measured)
    bound = 1.2 * ms if upper is None and ms is not None else upper
    fields = {"dtype": "float32", "bytes": 1, "active_parameters": 0, **more}
    return Candidate(variant=variant, accuracy=accuracy, predicted_ms=ms, upper_ms=bound, **fields)


def forecaster(**more: Any) -> Forecaster:
    """For the made-up family, with its estimator and its baseline."""
    accuracies = Accuracies(MANIFEST, made_up_baseline(MANIFEST), engine=ENGINE)
    estimators = more.pop("estimators", (Estimator(made_up_estimator(random.Random(0))),))
    return Forecaster(MANIFEST, (DTYPE,), accuracies, estimators, engine=ENGINE, **more)


def work(*, text: int = 100, vision: int = 0, mean: float = 20.0, high: int = 40, spent_ms: float = 0.0) -> Work:
    return Work(text_tokens=text, vision_tokens=vision, length=Length(mean=mean, high=high), spent_ms=spent_ms)


def header(manifest: Manifest = MANIFEST) -> LogHeader:
    digest = family_digest(manifest.files, manifest.variants)
    return LogHeader(trimoe="0", family=manifest.source.name, digest=digest, engine=ENGINE, dtypes=(DTYPE,))


def decisions(count: int, *, seed: int = 0) -> Sequence[Decision]:
    """Requests of random sizes and budgets, some behind others, each as the made-up family would have decided."""
    rng, predicts = random.Random(seed), forecaster()
    return [_decision(number, rng, predicts) for number in range(count)]


def _decision(number: int, rng: random.Random, predicts: Forecaster) -> Decision:
    asked = work(text=rng.randint(20, 400), mean=rng.uniform(2, 40))
    ahead = {DTYPE: Ahead(waiting={"b12-k4": (1, 60)} if number % 3 == 0 else {}, running={"b16-k8": 1 + number % 2})}
    found = predicts.forecast(asked, TASK, ahead).candidates
    uppers = sorted(one.upper_ms or 0.0 for one in found)
    wish = Wish(budget_ms=rng.uniform(0.9 * uppers[0], 1.1 * uppers[-1]), task=TASK)
    demand = demand_of(wish)
    try:
        chosen, refused = choose(found, demand).candidate, None
    except NoFeasibleVariantError as error:
        chosen, refused = None, str(error)
    timing = (
        Timing(queue_ms=1.0, first_token_ms=20.0, total_ms=(chosen.predicted_ms or 0.0) * 1.05, stages={"prefill": 9.5})
        if chosen
        else None
    )
    return Decision(
        time=1.8e9 + number,
        request=f"r{number}",
        wish=wish_record(wish),
        work=work_record(asked, cap=40),
        ahead={dtype: ahead_record(one) for dtype, one in ahead.items()},
        candidates=candidate_records(found, chosen, demand),
        chosen=None if chosen is None else found.index(chosen),
        refused=refused,
        outcome=None if timing is None else outcome_record(STOP, round(asked.length.mean), timing),
    )


def write_log(path: Path, found: Sequence[Decision], **more: Any) -> Path:
    """The log of these decisions."""
    log = DecisionLog(path, header(), **more)
    for one in found:
        log.write(one)
    log.close()
    return path
