"""Log-probabilities of chosen tokens and of the most likely ones, as the model gives them: at temperature 1."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from runtime.serving.answer import LogProbability

Texts = Callable[[Sequence[Sequence[int]]], list[str]]


def log_probability(logits: npt.NDArray[np.float32], token: int, *, count: int, texts: Texts) -> LogProbability:
    """That of `token` after `logits` [vocabulary], with those of the `count` most likely tokens, the first the most
    likely (ties by id). `texts` turns rows of tokens into text."""
    values = logits.astype(np.float64)
    values -= values.max()
    values -= np.log(np.exp(values).sum())
    most = most_likely(values, count)
    shown = texts([[one] for one in (token, *most)])
    return LogProbability(
        token=token,
        text=shown[0],
        value=float(values[token]),
        most_likely=tuple((one, text, float(values[one])) for one, text in zip(most, shown[1:], strict=True)),
    )


def most_likely(values: npt.NDArray[np.float64], count: int) -> list[int]:
    """The places of the `count` largest of `values` [vocabulary], the largest first, ties in their order."""
    if count == 0:
        return []
    least = np.partition(values, -count)[-count] if count < len(values) else -np.inf
    among = np.flatnonzero(values >= least)
    return [int(place) for place in among[np.argsort(-values[among], kind="stable")][:count]]
