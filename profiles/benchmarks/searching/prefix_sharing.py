"""Times a beam search whose cuts share what they run before they first differ against one that runs each cut alone."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiles.datasets.dataset import Dataset
from profiles.evidence.measuring.questions import Questions
from profiles.evidence.running.answers import Answering
from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.running.source_model import SourceModel
from profiles.evidence.searching.beam_search import Beam, Removed, beam_search
from runtime.engines.protocol import Prompt

TARGET = 3.0

Rows = list[list[int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTimes:
    """One step of a search on one data set: seconds for its `cuts` together, and for them one by one, scaled up from
    the `timed` that were; of these, `same` gave the same answers both ways."""

    dataset: str
    step: int
    cuts: int
    timed: int
    shared_s: float
    alone_s: float
    same: int

    @property
    def ratio(self) -> float:
        """How many times as fast sharing is."""
        return self.alone_s / self.shared_s


def bench_search(
    model: SourceModel,
    datasets: Sequence[Dataset],
    beam: Beam,
    *,
    batch_size: int,
    timed: int,
    say: Callable[[str], None],
) -> tuple[StepTimes, ...]:
    """Search each data set as `trimoe search` does, prompts made beforehand; after each batch, `timed` of the step's
    cuts, drawn at random, are run on it one by one, each with greedy decoding in a cache. What the whole model's
    answers cost, which are drafts of all others, counts in the first step."""
    found: list[StepTimes] = []
    for dataset in datasets:
        say(dataset.name)
        searched = _Searched(model, dataset, beam.blocks, batch_size=batch_size, timed=timed)
        beam_search(searched.accuracies, beam)
        found += searched.steps
    return tuple(found)


class _Searched:
    """A data set that is searched: its prompts, the drafts once they are known, and the times of each step."""

    def __init__(self, model: SourceModel, dataset: Dataset, blocks: int, *, batch_size: int, timed: int) -> None:
        self._dataset, self._timed, self._rng = dataset, timed, random.Random(0)
        self._material = Questions(model, dataset, batch_size=batch_size)
        limit = dataset.settings.max_new_tokens
        self._how = Answering(model=model.staged, ends=model.prompts.ends, max_new_tokens=limit)
        self._prompts = [self._material.prompts(batch) for batch in range(self._material.batches)]
        self._drafts: list[Rows] = []
        self.steps: list[StepTimes] = []
        self._how.answers(self._prompts[0], [WHOLE])  # warms up

    def accuracies(self, wanted: Sequence[Removed]) -> list[float]:
        """Those of a step, which is timed."""
        cuts = [Cut(removed=removed) for removed in wanted]
        chosen = self._rng.sample(cuts, min(self._timed, len(cuts)))
        rows: dict[Cut, list[Rows]] = {cut: [] for cut in cuts}
        alone: dict[Cut, list[Rows]] = {cut: [] for cut in chosen}
        shared_s = alone_s = 0.0
        for batch, prompts in enumerate(self._prompts):
            began = time.perf_counter()
            together = self._together(batch, prompts, cuts)
            shared_s += time.perf_counter() - began
            began = time.perf_counter()
            for cut in chosen:
                alone[cut].append(self._how.answers(prompts, [cut])[cut])
            alone_s += time.perf_counter() - began
            for cut in cuts:
                rows[cut].append(together[cut])
        self.steps.append(
            StepTimes(
                dataset=self._dataset.name,
                step=len(self.steps) + 1,
                cuts=len(cuts),
                timed=len(chosen),
                shared_s=shared_s,
                alone_s=alone_s / len(chosen) * len(cuts),
                same=sum(alone[cut] == rows[cut] for cut in chosen),
            )
        )
        return [self._material.score([tuple(map(tuple, one)) for one in rows[cut]]) for cut in cuts]

    def _together(self, batch: int, prompts: tuple[Prompt, ...], cuts: Sequence[Cut]) -> dict[Cut, Rows]:
        if len(self._drafts) == batch:
            self._drafts.append(self._how.answers(prompts, [WHOLE])[WHOLE])
        return self._how.answers(prompts, cuts, drafts=self._drafts[batch])
