"""Tells a clock which stage a torch model is in while it reads prompts: its vision tower, or all the rest."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from runtime.engines.protocol import NO_CLOCK, StageClock
from runtime.engines.stages import PREFILL, VISION

VISION_MODULE = "vision_backbone"


class _Stages:
    """The stage that is running, on a clock; a device is waited for whenever it changes."""

    def __init__(self, clock: StageClock, device: torch.device) -> None:
        self._clock, self._device, self._running = clock, device, ExitStack()

    def change(self, stage: str | None) -> None:
        """End the stage that is running and begin another."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._running.close()
        if stage is not None:
            self._running.enter_context(self._clock.stage(stage))


@contextmanager
def stages(model: Any, clock: StageClock) -> Iterator[None]:
    """Time a forward pass inside the block: `vision` in the vision tower, `prefill` before and after it."""
    if clock is NO_CLOCK:
        yield
        return
    running, tower = _Stages(clock, model.device), getattr(model.model, VISION_MODULE, None)
    hooks = []
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
