"""Greedy answers of many cuts to one batch of prompts.

The whole model's answer is read behind each prompt as a draft (Leviathan, Kalman and Matias, arXiv:2211.17192, with the
whole model in the small one's place): a cut that would give it at every token gives it, without a step of decoding.
Rows that depart from their draft go on token by token, those of all cuts together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from profiles.evidence.running.cut import Cut
from profiles.evidence.running.decode import Unfinished, continue_answers, is_over, unfinished
from profiles.evidence.running.inputs import batch_inputs
from profiles.evidence.running.prefill import Read, read_batch
from profiles.evidence.running.staged_model import StagedModel
from runtime.documents.graph_contract import INPUT_IDS
from runtime.engines.protocol import Prompt

_HELD_BYTES = 1 << 30  # of keys and values of rows that wait to go on


@dataclass(frozen=True, kw_only=True, slots=True)
class Answering:
    """How answers are made: by a model, at most `max_new_tokens` long, the last of them one of `ends`; `ran` is told of
    each block that was run on a batch."""

    model: StagedModel
    ends: frozenset[int]
    max_new_tokens: int
    ran: Callable[[], None] = lambda: None

    def answers(
        self, prompts: Sequence[Prompt], cuts: Sequence[Cut], *, drafts: Sequence[Sequence[int]] | None = None
    ) -> dict[Cut, list[list[int]]]:
        """The new tokens of each prompt by cut, in order: one at least. The drafts change what it costs, and nothing
        else but the last bits of sums."""
        batch = _Batch(self, prompts, drafts or [()] * len(prompts))
        with torch.inference_mode():
            read_batch(self.model, batch.inputs, cuts, found=batch.found, ran=self.ran)
            batch.finish()
        return batch.answers


class _Batch:
    """Prompts with their drafts, padded on the right, and the answers of the cuts that have read them."""

    def __init__(self, how: Answering, prompts: Sequence[Prompt], drafts: Sequence[Sequence[int]]) -> None:
        self._how, self._drafts = how, drafts
        self.answers: dict[Cut, list[list[int]]] = {}
        self._waiting: list[Unfinished] = []
        device = how.model.device
        drafted = [
            Prompt(variant=one.variant, arrays={**one.arrays, INPUT_IDS: _joined(one.arrays[INPUT_IDS], draft[:-1])})
            for one, draft in zip(prompts, drafts, strict=True)
        ]
        self._prompt_lengths = [len(one.arrays[INPUT_IDS]) for one in prompts]
        self.inputs = batch_inputs(drafted, how.model)
        deepest = max(max(map(len, drafts)), 1)
        first = torch.tensor(self._prompt_lengths, device=device)[:, None] - 1
        last = self.inputs[INPUT_IDS].shape[1] - 1
        self._asked = (first + torch.arange(deepest, device=device)).clamp(max=last)

    def found(self, read: Read) -> None:
        """Compare what the cut says with the drafts; rows that depart from them wait to be continued."""
        index = self._asked[..., None].expand(-1, -1, read.hidden.shape[-1])
        said = self._how.model.logits(read.hidden.gather(1, index)).argmax(dim=-1).tolist()
        rows = [_agreed(tokens, draft) for tokens, draft in zip(said, self._drafts, strict=True)]
        self.answers[read.cut] = rows
        open_rows = [
            place for place, row in enumerate(rows) if not is_over(row, self._how.ends, self._how.max_new_tokens)
        ]
        if not open_rows:
            return
        lengths = [self._prompt_lengths[place] + len(rows[place]) - 1 for place in open_rows]
        device = self._how.model.device
        part = unfinished(
            [rows[place] for place in open_rows],
            torch.tensor(open_rows, device=device),
            torch.tensor(lengths, device=device),
            read.states,
        )
        self._waiting.append(part)
        if sum(part.bytes for part in self._waiting) > _HELD_BYTES:
            self.finish()

    def finish(self) -> None:
        """Continue the rows that wait."""
        continue_answers(self._how.model, self._waiting, ends=self._how.ends, max_new_tokens=self._how.max_new_tokens)
        self._waiting = []


def _joined(prompt: np.ndarray, draft: Sequence[int]) -> np.ndarray:
    return np.concatenate([prompt, np.asarray(draft, np.int64)])


def _agreed(said: Sequence[int], draft: Sequence[int]) -> list[int]:
    """What is said as far as the draft tells: up to its end, or to the first token that differs, included."""
    tokens = []
    for token, drafted in zip(said, draft or said[:1], strict=False):
        tokens.append(token)
        if token != drafted:
            break
    return tokens
