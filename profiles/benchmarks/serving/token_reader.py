"""Reads texts of token ids, for random weights that come without a tokenizer: their answers end where there is no more
room."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from profiles.benchmarks.batching.requests import NoTexts
from runtime.documents.graph_contract import INPUT_IDS
from runtime.engines.prompts import Question
from runtime.engines.protocol import Prompt


class TokenReader(NoTexts):
    """See QuestionReader (runtime/serving/family.py); a text is ids between spaces."""

    crop_settings: None = None

    def read(self, questions: Iterable[Question], *, variant: str) -> tuple[Prompt, ...]:
        """See QuestionReader."""
        rows = (np.array([int(part) for part in question.text.split()], np.int64) for question in questions)
        return tuple(Prompt(variant=variant, arrays={INPUT_IDS: ids}) for ids in rows)

    def chat_text(self, messages: Sequence[Mapping[str, str]]) -> str:
        """See QuestionReader."""
        return " ".join(message["content"] for message in messages)
