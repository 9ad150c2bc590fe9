"""Samples in batches of about the same length, the same batches every time."""

from collections.abc import Iterator, Sequence

from profiles.accuracy.answerer import SampleQuestion


def make_batches(questions: Sequence[SampleQuestion], size: int) -> tuple[tuple[int, ...], ...]:
    """The places of the questions in batches of `size`, larger images and longer prompts first.

    The longest batch comes first, so that a batch that does not fit into memory fails at once. Equal questions give
    equal batches: which samples share a batch never depends on which were answered before.
    """
    order = sorted(range(len(questions)), key=lambda place: (_length(questions[place]), -place), reverse=True)
    return tuple(tuple(order[start : start + size]) for start in range(0, len(order), size))


def with_following(batches: Sequence[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each batch with the one after it, which is empty after the last."""
    return zip(batches, (*batches[1:], ()), strict=False)


def _length(question: SampleQuestion) -> tuple[int, int, int]:
    width, height = question.sample.image_size()
    return (width * height, width, len(question.prompt))
