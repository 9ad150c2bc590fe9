"""Meters and descriptions of devices: this machine's processor, and a CUDA device that is played."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from profiles.errors import MeasurementError
from profiles.latency.bench.machine import describe_device
from profiles.latency.bench.meters import CudaMeter, ProcessorMeter, open_meter


class NVMLError(Exception):
    pass


def played_torch(devices: int = 2) -> Any:
    properties = SimpleNamespace(
        name="NVIDIA H100", total_memory=80 << 30, multi_processor_count=132, major=9, minor=0, uuid="1234"
    )
    cuda = SimpleNamespace(
        is_available=lambda: devices > 0,
        device_count=lambda: devices,
        get_device_properties=lambda index: properties,
        synchronize=lambda index: None,
        reset_peak_memory_stats=lambda index: None,
        max_memory_allocated=lambda index: 7 << 30,
    )
    return SimpleNamespace(__version__="2.13", cuda=cuda, version=SimpleNamespace(cuda="13.0"))


def played_nvml(energies: list[int], handles: list[str]) -> Any:
    def handle(uuid: str) -> str:
        handles.append(uuid)
        return uuid

    def energy(_handle: str) -> int:
        if not energies:
            raise NVMLError
        return energies.pop(0)

    return SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=handle,
        nvmlDeviceGetTotalEnergyConsumption=energy,
        nvmlDeviceGetClockInfo=lambda handle, kind: 1980,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=9 << 30),
        nvmlSystemGetDriverVersion=lambda: "580.65",
    )


def test_a_processor_tells_its_clock_and_the_memory_of_this_process() -> None:
    meter = open_meter("cpu")
    assert isinstance(meter, ProcessorMeter)
    meter.begin()
    held = bytearray(64 << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    first = meter.end()
    del held
    meter.begin()
    second = meter.end()
    if first.peak_memory_bytes is not None and second.peak_memory_bytes is not None:
        assert first.peak_memory_bytes > second.peak_memory_bytes + (32 << 20)
    assert first.energy_j is None


def test_a_cuda_device_tells_its_clock_its_memory_and_its_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    handles: list[str] = []
    monkeypatch.setitem(sys.modules, "torch", played_torch())
    monkeypatch.setitem(sys.modules, "pynvml", played_nvml([1000, 3500], handles))
    meter = open_meter("cuda:1")
    meter.begin()
    reading = meter.end()
    assert (reading.clock_mhz, reading.peak_memory_bytes, reading.energy_j) == (1980.0, 7 << 30, 2.5)
    assert handles == ["GPU-1234"]


def test_what_a_cuda_device_does_not_tell_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = played_torch()
    torch.cuda.max_memory_allocated = lambda index: 0  # another engine than torch works
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "pynvml", played_nvml([], []))
    meter = CudaMeter(0)
    meter.begin()
    reading = meter.end()
    assert (reading.clock_mhz, reading.peak_memory_bytes, reading.energy_j) == (1980.0, 9 << 30, None)


def test_without_nvml_only_torchs_memory_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = played_nvml([], [])

    def no_driver() -> None:
        raise NVMLError

    nvml.nvmlInit = no_driver
    monkeypatch.setitem(sys.modules, "torch", played_torch())
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    meter = CudaMeter(0)
    meter.begin()
    reading = meter.end()
    assert (reading.clock_mhz, reading.peak_memory_bytes, reading.energy_j) == (None, 7 << 30, None)


def test_a_cuda_device_is_described_with_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", played_torch())
    monkeypatch.setitem(sys.modules, "pynvml", played_nvml([], []))
    device = describe_device("cuda:1", threads=4)
    assert (device.kind, device.name, device.processors, device.threads) == ("cuda", "NVIDIA H100", 132, 4)
    assert device.driver == "NVIDIA 580.65, CUDA 13.0, compute capability 9.0"


@pytest.mark.parametrize(("devices", "name"), [(0, "cuda:0"), (2, "cuda:2")])
def test_cuda_that_is_not_there_is_refused_by_name(devices: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", played_torch(devices))
    with pytest.raises(MeasurementError, match=rf"{name}: torch 2.13 finds {devices} CUDA devices here"):
        describe_device(name, threads=1)
