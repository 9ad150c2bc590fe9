"""Samples in batches of about the same length, the same batches every time."""

from collections.abc import Iterator, Sequence

from profiles.accuracy.engine import Request


def make_batches(requests: Sequence[Request], size: int) -> tuple[tuple[int, ...], ...]:
    """The places of the requests in batches of `size`, larger images and longer prompts first.

    The longest batch comes first, so that a batch that does not fit into memory fails at once. Equal requests give
    equal batches: which samples share a batch never depends on which were answered before.
    """
    order = sorted(range(len(requests)), key=lambda place: (_length(requests[place]), -place), reverse=True)
    return tuple(tuple(order[start : start + size]) for start in range(0, len(order), size))


def with_following(batches: Sequence[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each batch with the one after it, which is empty after the last."""
    return zip(batches, (*batches[1:], ()), strict=False)


def _length(request: Request) -> tuple[int, int, int]:
    width, height = request.sample.image_size()
    return (width * height, width, len(request.prompt))
