"""Greedy generation, on any engine: the most likely token, one after the other."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from runtime.engines.protocol import Engine, Prompt, Sequences


def generate(
    engine: Engine, prompts: Sequence[Prompt], *, max_new_tokens: int, ends: frozenset[int]
) -> list[list[int]]:
    """The new tokens of each prompt, at most `max_new_tokens` and at least one; one of `ends` is the last. Parts of the
    batch that need not wait for each other go on in threads of their own. Raises what the engine's `prefill` raises."""
    parts = engine.prefill(prompts, max_new_tokens=max_new_tokens).apart()
    if len(parts) == 1:
        return _continue(parts[0][1], max_new_tokens, ends)
    with ThreadPoolExecutor(len(parts)) as pool:
        found = [(places, pool.submit(_continue, part, max_new_tokens, ends)) for places, part in parts]
    by_place = {place: row for places, rows in found for place, row in zip(places, rows.result(), strict=True)}
    return [by_place[place] for place in range(len(prompts))]


def _continue(sequences: Sequences, max_new_tokens: int, ends: frozenset[int]) -> list[list[int]]:
    """The tokens that follow each of the sequences."""
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
