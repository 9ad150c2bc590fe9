"""Answers of many cuts continued together, a token at a time: each block is called once a step, on the rows of all cuts
that keep it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from transformers.cache_utils import DynamicCache

from profiles.evidence.running.cut import Step
from profiles.evidence.running.rows import ends_aligned, longer, rows_of
from profiles.evidence.running.staged_model import StagedModel

_DROPPED_SHARE = 4  # rows that are over are dropped once they are one of so many


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """Answers of one cut that go on: `answers` so far, changed in place, the last token of each not yet read; before it
    `lengths` tokens are, whose keys and values [rows, heads, longest, width] end together."""

    answers: Sequence[list[int]]
    lengths: torch.Tensor
    states: Mapping[Step, tuple[torch.Tensor, torch.Tensor]]

    @property
    def bytes(self) -> int:
        """What the keys and values take."""
        return sum(one.nbytes for pair in self.states.values() for one in pair)


def unfinished(
    answers: Sequence[list[int]],
    rows: torch.Tensor,
    lengths: torch.Tensor,
    states: Mapping[Step, tuple[torch.Tensor, torch.Tensor]],
) -> Unfinished:
    """The `rows` of a batch that a cut has read, its `lengths` the tokens of each row that stay; the states are
    copied."""
    kept = {
        step: (ends_aligned(keys[rows], lengths), ends_aligned(values[rows], lengths))
        for step, (keys, values) in states.items()
    }
    return Unfinished(answers=answers, lengths=lengths, states=kept)


def continue_answers(
    model: StagedModel, parts: Sequence[Unfinished], *, ends: frozenset[int], max_new_tokens: int
) -> None:
    """Append to every answer until one of `ends` comes or it has `max_new_tokens`."""
    if not parts:
        return
    rows = _Rows(model, parts)
    while rows.answers:
        for answer, token in zip(rows.answers, rows.step(), strict=True):
            if not is_over(answer, ends, max_new_tokens):
                answer.append(token)
        over = [is_over(answer, ends, max_new_tokens) for answer in rows.answers]
        if sum(over) * _DROPPED_SHARE >= len(over):
            rows.keep([place for place, done in enumerate(over) if not done])


def is_over(answer: Sequence[int], ends: frozenset[int], max_new_tokens: int) -> bool:
    """Whether nothing follows on an answer."""
    return answer[-1] in ends or len(answer) >= max_new_tokens


class _Rows:
    """Rows of several cuts; `_members` has the places of those that run each step, steps in the order of blocks."""

    def __init__(self, model: StagedModel, parts: Sequence[Unfinished]) -> None:
        self._model = model
        self.answers = [answer for part in parts for answer in part.answers]
        lengths = torch.cat([part.lengths for part in parts])
        longest = int(lengths.max())
        places = torch.arange(longest, device=model.device)
        self._mask = (places >= (longest - lengths)[:, None]).long()
        starts = accumulate((len(part.answers) for part in parts), initial=0)
        users: dict[Step, list[tuple[int, Unfinished]]] = {}
        for start, part in zip(starts, parts, strict=False):
            for step in part.states:
                users.setdefault(step, []).append((start, part))
        self._members: dict[Step, torch.Tensor] = {}
        self._caches: dict[Step, DynamicCache] = {}
        for step in sorted(users, key=lambda step: (step[0], step[1] or 0)):
            rows = [torch.arange(start, start + len(part.answers)) for start, part in users[step]]
            states = [
                torch.cat([longer(part.states[step][place], longest) for _, part in users[step]]) for place in (0, 1)
            ]
            self._members[step] = torch.cat(rows).to(model.device)
            self._caches[step] = DynamicCache()
            self._caches[step].update(*states, step[0])

    def step(self) -> list[int]:
        """Read the last token of each row; returns the most likely one after it."""
        past, count = self._mask.shape[1], len(self.answers)
        self._mask = torch.cat([self._mask, self._mask.new_ones(count, 1)], dim=1)
        ids = torch.tensor([[answer[-1]] for answer in self.answers], device=self._model.device)
        positions = self._mask.sum(dim=1, keepdim=True) - 1
        inputs = {"input_ids": ids, "attention_mask": self._mask, "position_ids": positions}
        entered = self._model.enter(inputs, past=past)
        hidden = entered.hidden
        for (block, top_k), rows in self._members.items():
            keywords, cache = entered.keywords[block], self._caches[block, top_k]
            if len(rows) == count:
                hidden = self._model.run(block, hidden, keywords, top_k=top_k, cache=cache)
                continue
            part = self._model.run(block, hidden[rows], rows_of(keywords, rows, count), top_k=top_k, cache=cache)
            hidden = hidden.index_copy(0, rows, part)
        tokens: list[int] = self._model.logits(hidden)[:, -1].argmax(dim=-1).tolist()
        return tokens

    def keep(self, places: Sequence[int]) -> None:
        """Drop all rows but these, and what no row has read."""
        kept = torch.tensor(places, dtype=torch.long, device=self._model.device)
        self.answers = [self.answers[place] for place in places]
        if not places:
            return
        mask = self._mask[kept]
        first = int(mask.any(dim=0).int().argmax())
        self._mask = mask[:, first:]
        new_places = torch.full((int(kept.max()) + 1,), -1, device=kept.device).index_copy(
            0, kept, torch.arange(len(kept), device=kept.device)
        )
        for step, members in list(self._members.items()):
            held = torch.isin(members, kept)
            layer = self._caches[step].layers[step[0]]
            if not held.any():
                del self._members[step], self._caches[step]
                continue
            layer.keys, layer.values = (state[held][:, :, first:] for state in (layer.keys, layer.values))
            self._members[step] = new_places[members[held]]
