"""Measures one data set's calibration samples under many cuts."""

from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerFast

from profiles.datasets.digits.tasks import make_samples
from profiles.demo.config_files import BLOCKS
from profiles.demo.predicting import Cut, Examinee
from profiles.demo.scoring import LONGEST_ANSWERS, METRICS, task_score
from profiles.evidence.beam_search import Removed, Subject, search_results
from profiles.evidence.importance import sensitivity
from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM

HALVES = {"train": "calibration-a", "validation": "calibration-b"}
"""A pruning study compares two splits: here they are two halves of the calibration images, neither of which made
gradients."""

BOTH_HALVES = "+".join(HALVES)

BEAM_WIDTH = 3
MOST_REMOVED = 4


@dataclass(kw_only=True, slots=True)
class Measurement:
    """Accuracies of one task by half and cut, each measured once."""

    task: str
    count: int
    seed: int
    model: TrimoeMolmoeForCausalLM
    tokenizer: PreTrainedTokenizerFast
    _samples: tuple[Any, ...] = field(init=False)
    _examinee: Examinee = field(init=False)
    _known: dict[Removed, tuple[float, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._samples = tuple(make_samples(self.task, split, self.count, seed=self.seed) for split in HALVES.values())
        self._examinee = Examinee(
            self.model,
            self.tokenizer,
            [sample for half in self._samples for sample in half],
            longest=LONGEST_ANSWERS[self.task],
        )

    def halves(self, removed: Removed) -> dict[str, float]:
        """Accuracy on each half without the `removed` blocks."""
        if removed not in self._known:
            answers = self._examinee.answers(Cut(removed=removed))
            parts = [answers[place * self.count : (place + 1) * self.count] for place in range(len(HALVES))]
            self._known[removed] = tuple(
                task_score(self.task, samples, part) for samples, part in zip(self._samples, parts, strict=True)
            )
        return dict(zip(HALVES, self._known[removed], strict=True))

    def accuracy(self, removed: Removed) -> float:
        """Accuracy on both halves together."""
        scores = self.halves(removed).values()
        return sum(scores) / len(scores)

    def sensitivity(self, block: int, half: str) -> dict[str, Any]:
        """The document `sensitivity_block_<i>.json` of one half."""
        return sensitivity(
            block,
            baseline=self.halves(())[half],
            ablated=self.halves((block,))[half],
            samples=self.count,
            dataset=self.task,
            split=half,
        )

    def search(self) -> dict[str, Any]:
        """The document `exp3_accuracy_sensitivity_v2_results.json`: a beam search over both halves."""
        subject = Subject(
            dataset=self.task, split=BOTH_HALVES, samples=self.count * len(HALVES), metric=METRICS[self.task]
        )
        return search_results(self.accuracy, subject, blocks=BLOCKS, width=BEAM_WIDTH, most_removed=MOST_REMOVED)
