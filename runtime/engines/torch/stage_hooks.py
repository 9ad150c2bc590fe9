"""Tells a clock which stage a torch model is in while it reads prompts: its vision tower, or all the rest."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, Protocol

import torch

from runtime.engines.protocol import NO_CLOCK, StageClock
from runtime.engines.stages import PREFILL, VISION

VISION_MODULE = "vision_backbone"


class _Stages(Protocol):
    def change(self, stage: str | None) -> None:
        """End the stage that is running and begin another; None: the last is over."""


class _ProcessorStages:
    """Stages of work that is done when a call returns."""

    def __init__(self, clock: StageClock) -> None:
        self._clock, self._running = clock, ExitStack()

    def change(self, stage: str | None) -> None:
        """See _Stages."""
        self._running.close()
        if stage is not None:
            self._running.enter_context(self._clock.stage(stage))


class _DeviceStages:
    """Stages that a CUDA device runs behind the calls: marked by events in its stream, which is waited for once, at the
    end."""

    def __init__(self, clock: StageClock, device: torch.device) -> None:
        self._clock, self._device = clock, device
        self._marks: list[tuple[str | None, Any]] = []

    def change(self, stage: str | None) -> None:
        """See _Stages."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        self._marks.append((stage, event))
        if stage is None:
            self._tell(event)

    def _tell(self, last: Any) -> None:
        last.synchronize()
        over = time.perf_counter()
        for (name, first), (_, second) in pairwise(self._marks):
            if name is not None:
                began, ended = (over - event.elapsed_time(last) / 1e3 for event in (first, second))
                self._clock.span(name, began, ended)


@contextmanager
def stages(model: Any, clock: StageClock) -> Iterator[None]:
    """Time a forward pass inside the block: `vision` in the vision tower, `prefill` before and after it."""
    if clock is NO_CLOCK:
        yield
        return
    on_cuda = model.device.type == "cuda"
    running: _Stages = _DeviceStages(clock, model.device) if on_cuda else _ProcessorStages(clock)
    hooks, tower = [], getattr(model.model, VISION_MODULE, None)
    if tower is not None:
        hooks.append(tower.register_forward_pre_hook(lambda *_: running.change(VISION)))
        hooks.append(tower.register_forward_hook(lambda *_: running.change(PREFILL)))
    running.change(PREFILL)
    try:
        yield
    finally:
        running.change(None)
        for hook in hooks:
            hook.remove()
