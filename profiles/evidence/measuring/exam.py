"""A split of a data set in front of a model: a number for each cut, higher is better, kept on disk batch by batch."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from profiles.evidence.measuring.kept import Kept, Rows
from profiles.evidence.running.cut import WHOLE, Cut, as_tree
from profiles.evidence.running.influence import Influence
from profiles.evidence.running.inputs import batch_inputs
from profiles.evidence.running.staged_model import StagedModel
from runtime.documents.graph_contract import IMAGE_INPUT_IDX, INPUT_IDS
from runtime.engines.protocol import Prompt
from runtime.latency.workload import Workload

_NOWHERE = np.array(-1)


class Progress(Protocol):
    """Told how much work there is, in blocks run on a batch, and of each that was run."""

    def begin(self, name: str, runs: int) -> None:
        """A part that runs so many begins."""

    def ran(self) -> None:
        """One more was run."""

    def end(self) -> None:
        """The part is over."""


class Material(Protocol):
    """What is read, in fixed batches, and what is made of it."""

    @property
    def count(self) -> int:
        """How many samples there are."""

    @property
    def batches(self) -> int:
        """In how many batches."""

    def prompts(self, batch: int) -> tuple[Prompt, ...]:
        """The prompts of a batch."""

    def rows(
        self, batch: int, cuts: Sequence[Cut], *, whole: Rows | None, ran: Callable[[], None]
    ) -> Mapping[Cut, Rows]:
        """What each cut makes of a batch; `whole` is what the whole model makes of it, where that is known."""

    def score(self, rows: Sequence[Rows]) -> float:
        """The mean score of all batches in order."""


class Exam:
    """Material in front of a model; what is measured is kept."""

    def __init__(self, model: StagedModel, material: Material, kept: Kept) -> None:
        self._model, self._material, self._kept = model, material, kept

    @property
    def name(self) -> str:
        """The data set's name."""
        return self._kept.settings.dataset

    @property
    def split(self) -> str:
        """The split's name, or those of several with "+" between them."""
        return self._kept.settings.split

    @property
    def metric(self) -> str:
        """The id of what is measured."""
        return self._kept.settings.metric

    @property
    def model_digest(self) -> str:
        """The digest of the model's checkpoint."""
        return self._kept.settings.model

    @property
    def count(self) -> int:
        """How many samples are measured."""
        return self._material.count

    @property
    def batches(self) -> int:
        """In how many batches."""
        return self._material.batches

    def measure(self, cuts: Sequence[Cut], progress: Progress) -> dict[Cut, float]:
        """The mean score of each cut. What was measured stays on disk until `forget`, so that a run that was killed
        carries on; the whole model is measured too, once."""
        lacking = [
            [cut for cut in dict.fromkeys((WHOLE, *cuts)) if self._kept.find(batch, cut) is None]
            for batch in range(self.batches)
        ]
        if not any(lacking):
            return {cut: self._score(cut) for cut in cuts}
        progress.begin(f"{self.name} {self.split}", sum(map(self._runs, lacking)))
        for batch, missing in enumerate(lacking):
            if missing:
                whole = self._kept.find(batch, WHOLE)
                self._kept.add(batch, self._material.rows(batch, missing, whole=whole, ran=progress.ran))
        progress.end()
        return {cut: self._score(cut) for cut in cuts}

    def pace(self) -> float | None:
        """Seconds that a block takes on a batch: measured on the first batch, where the whole model's answers to it are
        not known yet, which are kept."""
        if not self.batches or self._kept.find(0, WHOLE) is not None:
            return None
        began = time.perf_counter()
        found = self._material.rows(0, [WHOLE], whole=None, ran=lambda: None)
        seconds = time.perf_counter() - began
        self._kept.add(0, found)
        return seconds / self._model.blocks

    def influence(self, progress: Progress) -> tuple[float, ...]:
        """The influence of each block (running/influence.py), over all tokens of the prompts."""
        progress.begin(f"{self.name} {self.split}: influence", self.batches * self._model.blocks)
        sums = Influence(model=self._model, ran=progress.ran)
        for batch in range(self.batches):
            sums.add(batch_inputs(self._material.prompts(batch), self._model))
        progress.end()
        return sums.scores

    def load(self) -> Workload:
        """The size of one prompt, the mean over the first batch."""
        prompts = self._material.prompts(0)
        seen = sum(int((one.arrays.get(IMAGE_INPUT_IDX, _NOWHERE) >= 0).sum()) for one in prompts)
        every = sum(len(one.arrays[INPUT_IDS]) for one in prompts)
        vision = round(seen / len(prompts))
        return Workload(vision_tokens=vision, text_tokens=max(1, round(every / len(prompts)) - vision))

    def forget(self) -> None:
        """Drop what is kept on disk of all cuts, which have become files of evidence, but the whole model."""
        self._kept.forget()

    def _runs(self, cuts: Sequence[Cut]) -> int:
        """Blocks that a batch is run through; the whole model goes first, alone."""
        others = as_tree([cut for cut in cuts if cut != WHOLE], self._model.blocks).runs
        return others + (self._model.blocks if WHOLE in cuts else 0)

    def _score(self, cut: Cut) -> float:
        found = [self._kept.find(batch, cut) for batch in range(self.batches)]
        return self._material.score([rows for rows in found if rows is not None])
