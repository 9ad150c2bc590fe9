"""How likely texts are to many cuts of a model: the sum of the log-probabilities of every token after the first."""

from collections.abc import Callable, Sequence

import torch

from profiles.evidence.running.cut import Cut
from profiles.evidence.running.inputs import batch_inputs
from profiles.evidence.running.prefill import Read, read_batch
from profiles.evidence.running.staged_model import StagedModel
from runtime.documents.graph_contract import INPUT_IDS
from runtime.engines.protocol import Prompt


def log_likelihoods(
    model: StagedModel, texts: Sequence[Prompt], cuts: Sequence[Cut], *, ran: Callable[[], None] = lambda: None
) -> dict[Cut, list[float]]:
    """The log-likelihood of each text by cut, natural logarithm."""
    inputs = batch_inputs(texts, model)
    lengths = [len(text.arrays[INPUT_IDS]) for text in texts]
    found: dict[Cut, list[float]] = {}

    def score(read: Read) -> None:
        # A row at a time: the logits of all would be by far the largest tensor.
        found[read.cut] = [
            _log_likelihood(model, read.hidden[row : row + 1, :length], inputs[INPUT_IDS][row, :length])
            for row, length in enumerate(lengths)
        ]

    with torch.inference_mode():
        read_batch(model, inputs, cuts, found=score, ran=ran)
    return found


def _log_likelihood(model: StagedModel, hidden: torch.Tensor, ids: torch.Tensor) -> float:
    logits = model.logits(hidden[:, :-1])[0].float()
    return float(-torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none").double().sum())
