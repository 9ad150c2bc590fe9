"""Stages of a forward pass on a CUDA device that is played: events in its stream, one wait at the end."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from profiles.latency.bench.stage_times import StageTimes
from runtime.engines.torch import stage_hooks


class Event:
    """Takes the next moment of the played device."""

    waits = 0

    def __init__(self, moments: Iterator[float]) -> None:
        self._moments = moments

    def record(self, stream: object) -> None:
        self.ms = next(self._moments)

    def synchronize(self) -> None:
        Event.waits += 1

    def elapsed_time(self, last: "Event") -> float:
        return last.ms - self.ms


class Tower(torch.nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + 1


def test_stages_on_a_device_are_timed_by_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 2.0, 7.0, 12.0])  # prefill, vision from 2 to 7, prefill until 12
    played: Any = SimpleNamespace(
        Event=lambda enable_timing: Event(moments), current_stream=lambda device: f"stream of {device}"
    )
    monkeypatch.setattr(stage_hooks.torch, "cuda", played)
    tower, clock = Tower(), StageTimes()
    model = SimpleNamespace(device=torch.device("cuda:0"), model=SimpleNamespace(vision_backbone=tower))
    with stage_hooks.stages(model, clock):
        tower(torch.zeros(1))
    assert clock.ms == pytest.approx({"prefill": 7.0, "vision": 5.0})
    assert Event.waits == 1
    tower(torch.zeros(1))  # the hooks are gone
    assert next(moments, None) is None
