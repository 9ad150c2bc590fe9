"""Questions as material: greedy answers, scored by the data set's metric; the score is the accuracy."""

from collections.abc import Callable, Sequence

from profiles.accuracy.answerer import SampleQuestion
from profiles.accuracy.evaluation.batches import make_batches
from profiles.accuracy.evaluation.evaluate import score_answers
from profiles.datasets.dataset import Dataset, fill_prompt
from profiles.evidence.measuring.kept import MeasurementSettings, Rows
from profiles.evidence.running.answers import Answering
from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.running.source_model import SourceModel
from profiles.metrics.catalogue import check_samples, find_metric
from profiles.metrics.normalisation.cleanup import find_cleanup
from profiles.sample import digest_samples
from runtime.engines.prompts import Question
from runtime.engines.protocol import Prompt


def question_settings(model: SourceModel, dataset: Dataset, split: str, *, batch_size: int) -> MeasurementSettings:
    """All that answers and scores depend on. Raises MeasurementError, DatasetError and MissingToolError for samples
    that cannot be asked or scored."""
    settings = dataset.settings
    metric = find_metric(settings.metric)
    find_cleanup(settings.cleanup)
    check_samples(metric, dataset.samples)
    return MeasurementSettings(
        model=model.digest,
        dataset=dataset.name,
        split=split,
        samples=len(dataset.samples),
        digest=digest_samples(dataset.samples),
        metric=metric.id,
        cleanup=settings.cleanup,
        prompt=settings.prompt,
        max_new_tokens=settings.max_new_tokens,
        batch_size=batch_size,
        software=dict(model.software),
    )


class Questions:
    """See Material: the rows are the tokens of answers."""

    def __init__(self, model: SourceModel, dataset: Dataset, *, batch_size: int) -> None:
        self._model, self._dataset = model, dataset
        template = dataset.settings.prompt
        self._questions = tuple(
            SampleQuestion(prompt=fill_prompt(template, sample), sample=sample) for sample in dataset.samples
        )
        self._places = make_batches(self._questions, batch_size)

    @property
    def count(self) -> int:
        """See Material."""
        return len(self._questions)

    @property
    def batches(self) -> int:
        """See Material."""
        return len(self._places)

    def prompts(self, batch: int) -> tuple[Prompt, ...]:
        """See Material. Raises DatasetError for an image that cannot be read."""
        chosen = [self._questions[place] for place in self._places[batch]]
        read = (Question(text=one.prompt, image=one.sample.open_image()) for one in chosen)
        return self._model.prompts.read(read, variant="")

    def rows(self, batch: int, cuts: Sequence[Cut], *, whole: Rows | None, ran: Callable[[], None]) -> dict[Cut, Rows]:
        """See Material: the whole model's answers are the drafts of all others."""
        limit = self._dataset.settings.max_new_tokens
        how = Answering(model=self._model.staged, ends=self._model.prompts.ends, max_new_tokens=limit, ran=ran)
        prompts = self.prompts(batch)
        drafts = how.answers(prompts, [WHOLE])[WHOLE] if whole is None else _tokens(whole)
        others = [cut for cut in cuts if cut != WHOLE]
        found = how.answers(prompts, others, drafts=drafts) if others else {}
        if WHOLE in cuts:
            found[WHOLE] = drafts
        return {cut: tuple(tuple(row) for row in rows) for cut, rows in found.items()}

    def score(self, rows: Sequence[Rows]) -> float:
        """See Material."""
        answers: list[list[int]] = [[]] * self.count
        for places, found in zip(self._places, rows, strict=True):
            for place, row in zip(places, _tokens(found), strict=True):
                answers[place] = row
        scores = score_answers(self._dataset, self._model.prompts.texts(answers)).scores
        return sum(scores) / len(scores)


def _tokens(rows: Rows) -> list[list[int]]:
    return [[int(token) for token in row] for row in rows]
