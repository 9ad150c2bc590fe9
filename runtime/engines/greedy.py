"""Greedy generation, on any engine: the most likely token, one after the other."""

from collections.abc import Sequence

from runtime.engines.protocol import Engine, Prompt


def generate(
    engine: Engine, prompts: Sequence[Prompt], *, max_new_tokens: int, ends: frozenset[int]
) -> list[list[int]]:
    """The new tokens of each prompt, at most `max_new_tokens` and at least one; one of `ends` is the last. Raises what
    the engine's `prefill` raises."""
    sequences = engine.prefill(prompts, max_new_tokens=max_new_tokens)
    rows = [[int(token)] for token in sequences.logits.argmax(axis=-1)]
    for _ in range(max_new_tokens - 1):
        last = [None if row[-1] in ends else row[-1] for row in rows]
        if all(token is None for token in last):
            break
        sequences.decode(last)
        for row, token, following in zip(rows, last, sequences.logits.argmax(axis=-1), strict=True):
            if token is not None:
                row.append(int(following))
    return rows
