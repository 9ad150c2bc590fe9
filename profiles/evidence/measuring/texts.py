"""A text as material for language models: windows that follow each other, each predicted from its own beginning; the
score is the mean log-likelihood of a token."""

import hashlib
import math
from collections.abc import Callable, Sequence

from profiles.datasets.splits import Corpus
from profiles.errors import MeasurementError
from profiles.evidence.measuring.kept import MeasurementSettings, Rows
from profiles.evidence.running.cut import Cut
from profiles.evidence.running.likelihood import log_likelihoods
from profiles.evidence.running.source_model import SourceModel
from runtime.documents.graph_contract import INPUT_IDS
from runtime.engines.prompts import Question
from runtime.engines.protocol import Prompt

LOG_LIKELIHOOD = "log-likelihood/token"
WINDOW = 512


def perplexity(log_likelihood: float) -> float:
    """The perplexity of a mean log-likelihood per token."""
    return math.exp(-log_likelihood)


def text_settings(model: SourceModel, corpus: Corpus, split: str, *, batch_size: int) -> MeasurementSettings:
    """All that the likelihood of a text depends on."""
    return MeasurementSettings(
        model=model.digest,
        dataset=corpus.name,
        split=split,
        samples=len(_windows(model, corpus)),
        digest=hashlib.sha256(corpus.text.encode()).hexdigest(),
        metric=LOG_LIKELIHOOD,
        cleanup="",
        prompt=f"windows of {WINDOW} tokens",
        max_new_tokens=0,
        batch_size=batch_size,
        software=dict(model.software),
    )


class Texts:
    """See Material: the rows are the log-likelihood of a window, and the tokens that are predicted in it."""

    def __init__(self, model: SourceModel, corpus: Corpus, *, batch_size: int) -> None:
        self._model = model
        windows = _windows(model, corpus)
        self.count = len(windows)
        self._batches = [tuple(windows[start : start + batch_size]) for start in range(0, len(windows), batch_size)]

    @property
    def batches(self) -> int:
        """See Material."""
        return len(self._batches)

    def prompts(self, batch: int) -> tuple[Prompt, ...]:
        """See Material."""
        return self._batches[batch]

    def rows(self, batch: int, cuts: Sequence[Cut], *, whole: Rows | None, ran: Callable[[], None]) -> dict[Cut, Rows]:
        """See Material."""
        texts = self._batches[batch]
        predicted = [len(text.arrays[INPUT_IDS]) - 1 for text in texts]
        found = log_likelihoods(self._model.staged, texts, cuts, ran=ran)
        return {cut: tuple(zip(values, predicted, strict=True)) for cut, values in found.items()}

    def score(self, rows: Sequence[Rows]) -> float:
        """See Material."""
        windows = [window for found in rows for window in found]
        return sum(value for value, _ in windows) / sum(tokens for _, tokens in windows)


def _windows(model: SourceModel, corpus: Corpus) -> list[Prompt]:
    """The text in windows of WINDOW tokens; the last may be shorter. Raises MeasurementError for a model of images, and
    for a text without two tokens."""
    if model.prompts.crop_settings is not None:
        raise MeasurementError(f"{corpus.name}: a text, but the model answers questions about images")
    (whole,) = model.prompts.read([Question(text=corpus.text)], variant="")
    ids = whole.arrays[INPUT_IDS]
    parts = [ids[start : start + WINDOW] for start in range(0, len(ids), WINDOW)]
    found = [Prompt(variant="", arrays={INPUT_IDS: part}) for part in parts if len(part) > 1]
    if not found:
        raise MeasurementError(f"{corpus.name}: a text needs two tokens at least")
    return found
