"""Which variants stay loaded, on an engine that says what it loads."""

import threading
from collections.abc import Callable, Sequence

import pytest

from runtime.errors import DocumentError, MemoryLimitError
from runtime.serving.pool import Pool
from runtime.serving.variant_sizes import VariantSize
from tests.support.toy_language import VARIANTS, ToyEngine

# What all share takes 100 bytes, what those of one depth share 20, and each its own 1.
SIZES = {
    variant: VariantSize(
        parts={"shared": 100, variant[:2]: 20, variant: 1}, load_bytes=7, token_bytes=8, context_tokens=context
    )
    for variant, context in zip(VARIANTS, (512, 256, None, 512), strict=True)
}
A, B, C, D = VARIANTS


def pool(
    engine: ToyEngine | None = None,
    *,
    most_bytes: int | None = None,
    available: Callable[[], int] = lambda: 10**6,
) -> Pool:
    return Pool(engine or ToyEngine(), SIZES, most_bytes=most_bytes, available=available)


def use(pool: Pool, *variants: str) -> None:
    for variant in variants:
        pool.hold(variant)
        pool.release(variant)


def test_shared_bytes_count_once() -> None:
    found = pool()
    assert found.further_bytes(A) == 121
    use(found, A, B)
    assert found.state.bytes == 122 and found.further_bytes(B) == 0 and found.further_bytes(C) == 21
    assert found.context_tokens == 256 and found.token_bytes(A) == 8


@pytest.mark.parametrize(
    ("most_bytes", "used", "resident"),
    [
        (None, (A, B, C, D), (A, B, C, D)),
        (122, (A, B), (A, B)),
        (121, (A, B), (B,)),
        (142, (A, C, B), (C, B)),  # of three, any two fit: A is the longest unused
        (142, (A, C, A, D), (A, D)),  # C is
        (122, (A, B, C), (C,)),  # both have to go
    ],
)
def test_the_longest_unused_go_first_and_no_more_than_need_to(
    most_bytes: int | None, used: Sequence[str], resident: Sequence[str]
) -> None:
    engine = ToyEngine()
    found = pool(engine, most_bytes=most_bytes)
    use(found, *used)
    assert found.state.resident == tuple(resident) and set(engine.loaded) == set(resident)


def test_what_is_in_use_or_pinned_is_not_evicted() -> None:
    engine = ToyEngine()
    found = pool(engine, most_bytes=142)
    found.hold(A)
    found.pin(C)
    with pytest.raises(MemoryLimitError, match=rf"{D}: with what is in use it takes 143 B .* limit .* 142 B"):
        found.hold(D)
    found.release(A)
    use(found, D)
    assert found.state.resident == (C, D) and found.state.pinned == (C,)
    found.unpin(C)
    use(found, A, B)
    assert found.state.resident == (A, B) and found.state.used == ()


def test_nothing_is_unloaded_for_a_variant_that_does_not_fit_all_the_same() -> None:
    engine = ToyEngine()
    found = pool(engine, available=lambda: 128 if not engine.loaded else 27)
    use(found, A)
    with pytest.raises(MemoryLimitError, match=rf"{C}: loading it needs 28 B \(28 bytes\) .* 27 B \(27 bytes\)"):
        found.hold(A)
        found.hold(C)
    assert engine.loaded == [A]
    found.release(A)
    found.hold(C)
    assert engine.loaded == [C]


def test_an_unknown_variant_is_refused() -> None:
    for refused in (pool().hold, pool().pin, pool().token_bytes, pool().further_bytes):
        with pytest.raises(DocumentError, match="no variant 'b1'"):
            refused("b1")


def test_a_variant_is_loaded_once_while_others_are_used_without_waiting() -> None:
    begun, may_load = threading.Event(), threading.Event()
    engine, loads = ToyEngine(), []

    def loading(variant: str) -> None:
        loads.append(variant)
        if variant == B:
            begun.set()
            assert may_load.wait(10)

    engine.loading = loading
    found = pool(engine)
    use(found, A)
    threads = [threading.Thread(target=found.hold, args=(B,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    assert found.hold_resident(A) and not found.hold_resident(B)
    found.hold(A)
    assert found.state.used == (A,)
    may_load.set()
    for thread in threads:
        thread.join()
    assert loads == [A, B] and found.state.used == (A, B)
    for _ in range(3):
        found.release(B)
    assert found.state.used == (A,)


def test_a_variant_that_failed_to_load_is_not_resident_and_is_tried_again() -> None:
    fails = [True]

    def loading(variant: str) -> None:
        if fails.pop() if fails else False:
            raise RuntimeError("no")

    found = pool(ToyEngine(loading=loading))
    with pytest.raises(RuntimeError, match="no"):
        found.hold(A)
    assert found.state.resident == ()
    use(found, A)
    assert found.state.resident == (A,)
