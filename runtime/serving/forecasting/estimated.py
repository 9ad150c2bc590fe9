"""What answers of variants that were never measured are worth, by an accuracy model."""

import math
from collections.abc import Mapping, Sequence

from runtime.accuracy.predictor import Estimate, Predictor
from runtime.documents.accuracy.accuracy_model import Setting
from runtime.documents.manifest import VariantRecord
from runtime.selection.candidate import Accuracy


class EstimatedAccuracies:
    """Accuracies by variant and data set, each predicted once."""

    def __init__(self, predictor: Predictor, variants: Sequence[VariantRecord]) -> None:
        """Predict all of the variants on all of the model's tasks, which are data sets."""
        settings = [setting_of(one) for one in variants]
        whole = predictor.model.settings[0]
        self._found: dict[str, Mapping[str, Estimate]] = {one.id: {} for one in variants}
        self._whole: dict[str, float] = {}
        for dataset in predictor.tasks:
            first, *others = predictor.predict([whole, *settings], dataset)
            self._whole[dataset] = first.score
            for variant, estimate in zip(variants, others, strict=True):
                self._found[variant.id] = {**self._found[variant.id], dataset: estimate}

    @property
    def datasets(self) -> tuple[str, ...]:
        """Those that the model predicts."""
        return tuple(self._whole)

    def of(self, variant: str, dataset: str, whole: Accuracy | None) -> Accuracy | None:
        """What the variant is expected to score, by what it loses against the `whole` model as that was measured in the
        type that serves (None: as the model has it); None for another variant or data set. The lower end is as far
        below as the model's and the measurement's are together."""
        estimate = self._found.get(variant, {}).get(dataset)
        if estimate is None:
            return None
        if whole is None:
            return Accuracy(score=estimate.score, low=estimate.low, measured=False, estimated=True)
        score = min(max(whole.score - (self._whole[dataset] - estimate.score), 0.0), 1.0)
        below = math.hypot(estimate.score - estimate.low, whole.score - whole.low)
        return Accuracy(score=score, low=max(score - below, 0.0), measured=False, estimated=True)


def setting_of(variant: VariantRecord) -> Setting:
    """A variant of a mixture of experts as an accuracy model takes it. Raises ValueError for a dense one."""
    if variant.top_k is None:
        raise ValueError(f"{variant.id} has no experts")
    return Setting(layers=variant.layers, top_k=variant.top_k)
