"""Greedy answers of the demo model, whole or cut, for many cuts of one set of samples.

A cut costs only the blocks behind its last removed one: the states before each block are kept for the whole model and
for cuts of one or two blocks. One pass over the expected answers shows which samples the model answers just so; only
where it departs from them does it generate, token by token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from profiles.datasets.digits.tasks import DrawnSample
from profiles.demo.config_files import BLOCKS
from profiles.demo.cutting import with_top_k, without_blocks
from profiles.demo.encoding import Batch, encode_samples
from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM

_KEPT_REMOVED = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A way to run the model: without `removed` blocks (ascending), with `top_k` experts in the blocks after block
    0."""

    removed: tuple[int, ...] = ()
    top_k: int = 8

    def __post_init__(self) -> None:
        if list(self.removed) != sorted(set(self.removed)) or not set(self.removed) <= set(range(BLOCKS)):
            raise ValueError(f"removed blocks {list(self.removed)} must ascend within 0–{BLOCKS - 1}")


WHOLE = Cut()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recording:
    """A pass through the whole model.

    `states[n]`: what enters block n; the last entry is what leaves the last block. `arguments`: what every block is
    called with.
    """

    states: tuple[torch.Tensor, ...]
    arguments: dict[str, Any]


class Examinee:
    """The model in front of a fixed set of samples; `answers` may be asked for many cuts. At most `longest` tokens are
    generated."""

    def __init__(
        self,
        model: TrimoeMolmoeForCausalLM,
        tokenizer: PreTrainedTokenizerFast,
        samples: Sequence[DrawnSample],
        *,
        longest: int,
    ) -> None:
        self._model, self._tokenizer, self._longest = model, tokenizer, longest
        self._batch = encode_samples(samples, tokenizer)
        self._recording = self._record()
        self._kept: dict[tuple[int, ...], tuple[torch.Tensor, ...]] = {}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def answers(self, cut: Cut = WHOLE) -> tuple[str, ...]:
        """The text generated for each sample, without special tokens."""
        with with_top_k(self._model, cut.top_k):
            hidden = (
                self._leaving(cut.removed)
                if cut.top_k == WHOLE.top_k
                else self._run(self._recording.states[1], 1, cut.removed)[-1]
            )
            guesses = self._model.lm_head(self._model.model.transformer.ln_f(hidden[:, :-1])).argmax(-1)
            rows = [_agreed(guess, label) for guess, label in zip(guesses, self._batch.labels[:, 1:], strict=True)]
            open_rows = [row for row, tokens in enumerate(rows) if tokens[-1] != self._tokenizer.eos_token_id]
            with without_blocks(self._model, cut.removed):
                self._continue(open_rows, rows)
        return tuple(text.strip() for text in self._tokenizer.batch_decode(rows, skip_special_tokens=True))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _record(self) -> _Recording:
        states: list[torch.Tensor] = []
        arguments: dict[str, Any] = {}

        def keep(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], keywords: dict[str, Any]) -> None:
            states.append(inputs[0])
            arguments.update(keywords)

        blocks = self._model.model.transformer.blocks
        handles = [block.register_forward_pre_hook(keep, with_kwargs=True) for block in blocks]
        handles.append(blocks[-1].register_forward_hook(lambda module, inputs, output: states.append(output)))
        try:
            self._model.model(**_inputs(self._batch), use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return _Recording(states=tuple(states), arguments=arguments)

    def _leaving(self, removed: tuple[int, ...]) -> torch.Tensor:
        """What leaves the last block when the ascending `removed` blocks are skipped."""
        return self._states_behind(removed)[-1] if removed else self._recording.states[-1]

    def _states_behind(self, removed: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
        """The states behind the last removed block: what enters each later block, and what leaves the last one."""
        if removed in self._kept:
            return self._kept[removed]
        *before, last = removed
        if before:
            entering = self._states_behind(tuple(before))[last - before[-1] - 1]
        else:
            entering = self._recording.states[last]
        states = self._run(entering, last + 1)
        if len(removed) <= _KEPT_REMOVED:
            self._kept[removed] = states
        return states

    def _run(self, hidden: torch.Tensor, first: int, removed: tuple[int, ...] = ()) -> tuple[torch.Tensor, ...]:
        """Runs block `first` and the later ones; returns what enters each, and last what leaves."""
        states = [hidden]
        for number, block in list(enumerate(self._model.model.transformer.blocks))[first:]:
            states.append(states[-1] if number in removed else block(states[-1], **self._recording.arguments))
        return tuple(states)

    def _continue(self, open_rows: list[int], rows: list[list[int]]) -> None:
        """Appends tokens to the open rows until each ends or is too long."""
        while open_rows:
            part = _extended(self._batch, open_rows, rows, self._tokenizer.pad_token_id)
            hidden = self._model.model(**_inputs(part), use_cache=False).last_hidden_state
            last = torch.tensor([length - 1 for length in part.prompt_lengths])
            guesses = self._model.lm_head(hidden[torch.arange(len(last)), last]).argmax(-1)
            for row, guess in zip(open_rows, guesses.tolist(), strict=True):
                rows[row].append(guess)
            open_rows = [
                row
                for row in open_rows
                if rows[row][-1] != self._tokenizer.eos_token_id and len(rows[row]) < self._longest
            ]


def _inputs(batch: Batch) -> dict[str, torch.Tensor]:
    return {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "images": batch.images,
        "image_masks": batch.image_masks,
        "image_input_idx": batch.image_input_idx,
    }


def _agreed(guess: torch.Tensor, label: torch.Tensor) -> list[int]:
    """The tokens generated as far as the expected answer tells: up to its end, or to the first token that differs,
    included."""
    tokens = []
    for guessed, wanted in zip(guess[label >= 0].tolist(), label[label >= 0].tolist(), strict=True):
        tokens.append(guessed)
        if guessed != wanted:
            break
    return tokens


def _extended(batch: Batch, chosen: list[int], rows: list[list[int]], pad: int) -> Batch:
    """Prompts of the chosen rows followed by what was generated for them."""
    lengths = tuple(batch.prompt_lengths[row] + len(rows[row]) for row in chosen)
    input_ids = torch.full((len(chosen), max(lengths)), pad)
    mask = torch.zeros_like(input_ids)
    for place, (row, length) in enumerate(zip(chosen, lengths, strict=True)):
        start = batch.prompt_lengths[row]
        input_ids[place, :start] = batch.input_ids[row, :start]
        input_ids[place, start:length] = torch.tensor(rows[row])
        mask[place, :length] = 1
    return Batch(
        input_ids=input_ids,
        attention_mask=mask,
        images=batch.images[chosen],
        image_masks=batch.image_masks[chosen],
        image_input_idx=batch.image_input_idx[chosen],
        labels=torch.full_like(input_ids, -100),
        prompt_lengths=lengths,
    )
