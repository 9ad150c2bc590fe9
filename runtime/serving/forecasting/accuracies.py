"""What answers of each variant are worth, by task: from a baseline where it was measured, else from the evidence.

- A task is a data set's task or the name of a data set; None is the mean over all tasks of the baseline.
- Scores become shares (0–1). Several data sets of a task count alike, as do several tasks; the lower end of their mean
  is below it by the root of the summed squares of theirs, divided by their number: their samples are different ones.
- A variant counts as measured where each of these data sets was measured in that type of weights: with the engine that
  serves, else with the other one.
- A variant that is none of the family's, but is made of its blocks, has what an accuracy model predicts.
- The evidence knows what the removal of blocks costs over its data sets: that is taken from the whole model's score,
  from 1 where this is not measured; two spreads over the data sets lower are the lower end. It says nothing of experts
  per token or types of weights.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from runtime.documents.baseline import Baseline, ScoreRecord
from runtime.documents.family_digest import family_digest
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.errors import DocumentError, RequestError
from runtime.selection.candidate import Accuracy
from runtime.serving.forecasting.estimated import EstimatedAccuracies

SPREADS = 2.0
_OUT_OF_TEN = "cider/"  # begins the metrics whose perfect score is 10

Scores = Mapping[str, Accuracy]
"""Measured accuracies of one variant in one type of weights, by data set."""


class Accuracies:
    """The accuracies of a family's variants, by task."""

    def __init__(
        self,
        manifest: Manifest,
        baseline: Baseline | None,
        *,
        engine: str,
        estimated: EstimatedAccuracies | None = None,
    ) -> None:
        """`engine` is the one that serves; `estimated` knows variants that are not in the manifest. Raises
        DocumentError for a baseline of another family, and for a score that is no share."""
        if baseline is not None:
            _check_family(manifest, baseline)
        scores = () if baseline is None else baseline.scores
        self._variants = {variant.id: variant for variant in manifest.variants}
        self._whole = [variant.id for variant in manifest.variants if _is_whole(variant, manifest)]
        self._tasks = _datasets_by_task(scores)
        self._measured = _by_variant(sorted(scores, key=lambda score: score.engine == engine))
        self._estimated = estimated
        self._kept: dict[str | None, dict[tuple[str, str], Accuracy | None]] = {}

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task that may be named: the baseline's tasks, then its data sets; none without a baseline."""
        datasets = (name for names in self._tasks.values() for name in names)
        return tuple(dict.fromkeys((*self._tasks, *datasets)))

    def exported(self, variant: str) -> bool:
        """Whether the variant is of the manifest."""
        return variant in self._variants

    def of(self, variant: str, dtype: str, task: str | None) -> Accuracy | None:
        """The accuracy of a variant on a task, None where nothing is known. Raises RequestError as `check` does."""
        kept = self._kept.get(task)
        if kept is None:
            self.check(task)
            kept = self._kept[task] = {}
        if (variant, dtype) not in kept:
            if variant in self._variants:
                known = self._measured_on(variant, dtype, task) or self._by_evidence(variant, dtype, task)
            else:
                known = self._by_model(variant, dtype, task)
            kept[variant, dtype] = known
        return kept[variant, dtype]

    def check(self, task: str | None) -> None:
        """Raise RequestError for a task that the baseline has not, naming those it has. Without a baseline every name
        is as good as another."""
        if task is not None and self._tasks and task not in self.tasks:
            raise RequestError(f"no task {task!r} in the baseline; it has {', '.join(self.tasks)}")

    def _measured_on(self, variant: str, dtype: str, task: str | None) -> Accuracy | None:
        found = self._measured.get((variant, dtype), {})
        if task is None:
            return _mean([_mean_of(found, names) for names in self._tasks.values()])
        return _mean_of(found, self._tasks.get(task, (task,)))

    def _by_model(self, variant: str, dtype: str, task: str | None) -> Accuracy | None:
        if self._estimated is None:
            return None
        datasets = self._tasks or {name: (name,) for name in self._estimated.datasets}
        if task is None:
            return _mean([self._model_of(variant, dtype, names) for names in datasets.values()])
        return self._model_of(variant, dtype, datasets.get(task, (task,)))

    def _model_of(self, variant: str, dtype: str, datasets: Sequence[str]) -> Accuracy | None:
        """The mean over data sets of what the model predicts."""
        estimated, wholes = self._estimated, self._wholes(dtype)
        found = () if estimated is None else (estimated.of(variant, name, wholes.get(name)) for name in datasets)
        return _mean(list(found))

    def _wholes(self, dtype: str) -> Scores:
        """What the whole model scored in that type, by data set; nothing where it was not measured."""
        return next((self._measured[one, dtype] for one in self._whole if (one, dtype) in self._measured), {})

    def _by_evidence(self, variant: str, dtype: str, task: str | None) -> Accuracy | None:
        record = self._variants[variant]
        if record.drop is None and record.removed:
            return None
        loss, spread = (0.0, 0.0) if record.drop is None else (record.drop.mean, record.drop.std)
        measured = (self._measured_on(whole, dtype, task) for whole in self._whole)
        whole = next((one.score for one in measured if one is not None), 1.0)
        score = min(max(whole - loss, 0.0), 1.0)
        return Accuracy(score=score, low=max(score - SPREADS * spread, 0.0), measured=False)


def _check_family(manifest: Manifest, baseline: Baseline) -> None:
    found = family_digest(manifest.files, manifest.variants)
    if baseline.family.digest != found:
        raise DocumentError(
            f"the baseline measures the family {baseline.family.name} {baseline.family.digest[:12]}, this one is "
            f"{manifest.source.name} {found[:12]}: measure it with `trimoe eval`, or serve without a baseline"
        )


def _is_whole(variant: VariantRecord, manifest: Manifest) -> bool:
    """Whether nothing was taken from the source."""
    return not variant.removed and (variant.top_k is None or set(variant.top_k) == {manifest.source.top_k})


def _datasets_by_task(scores: Iterable[ScoreRecord]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for score in scores:
        known = found.get(score.dataset.task, ())
        found[score.dataset.task] = known if score.dataset.name in known else (*known, score.dataset.name)
    return found


def _by_variant(scores: Iterable[ScoreRecord]) -> dict[tuple[str, str], dict[str, Accuracy]]:
    """By (variant, dtype) and data set; of two engines the later one."""
    found: dict[tuple[str, str], dict[str, Accuracy]] = {}
    for score in scores:
        found.setdefault((score.variant, score.dtype), {})[score.dataset.name] = _share(score)
    return found


def _share(score: ScoreRecord) -> Accuracy:
    highest = 10.0 if score.definition.metric.startswith(_OUT_OF_TEN) else 1.0
    value, low = score.score / highest, score.interval.low / highest
    if not 0.0 <= value <= 1.0:
        raise DocumentError(
            f"the baseline has the score {score.score:g} of {score.variant} on {score.dataset.name} by "
            f"{score.definition.metric}: expected 0–{highest:g}"
        )
    return Accuracy(score=value, low=min(max(low, 0.0), value), measured=True)


def _mean_of(found: Scores, names: Sequence[str]) -> Accuracy | None:
    return _mean([found.get(name) for name in names])


def _mean(parts: Sequence[Accuracy | None]) -> Accuracy | None:
    """The mean of parts that count alike; None where one is missing, or all."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    score = sum(part.score for part in known) / len(known)
    below = math.hypot(*(part.score - part.low for part in known)) / len(known)
    estimated = any(part.estimated for part in known)
    return Accuracy(score=score, low=max(score - below, 0.0), measured=not estimated, estimated=estimated)
