"""What a device says of itself while it works: its clock, the most memory in use, energy."""

import importlib.util
import sys
from pathlib import Path
from typing import Any, Protocol

import psutil
from msgspec import Struct

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"  # proc(5): resets the peak of the resident set
_PEAK = "VmHWM:"


class Reading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The clock in MHz, the most bytes in use and the joules spent while something ran; None for what the device does
    not tell."""

    clock_mhz: float | None
    peak_memory_bytes: int | None
    energy_j: float | None


class Meter(Protocol):
    """Reads a device around some work; neither call is timed."""

    def begin(self) -> None:
        """The work begins."""

    def end(self) -> Reading:
        """The work is over."""


class ProcessorMeter:
    """The processor's clock, and this process's resident set (Linux; elsewhere None)."""

    def begin(self) -> None:
        """See Meter."""
        if _CLEAR.exists():
            _CLEAR.write_text(_FORGET_PEAK)

    def end(self) -> Reading:
        """See Meter."""
        frequency = psutil.cpu_freq()
        clock = None if frequency is None or not frequency.current else float(frequency.current)
        return Reading(clock_mhz=clock, peak_memory_bytes=_peak_resident(), energy_j=None)


def _peak_resident() -> int | None:
    if not _STATUS.exists():
        return None
    lines = [line.split() for line in _STATUS.read_text().splitlines() if line.startswith(_PEAK)]
    return 1024 * int(lines[0][1]) if lines else None


class CudaMeter:
    """A CUDA device by NVML where nvidia-ml-py is installed, and torch's own count of the memory that it allocated."""

    def __init__(self, index: int) -> None:
        """`index` is torch's, among the devices that this process sees."""
        import torch

        self._torch, self._index = torch, index
        self._nvml, self._handle = open_nvml(torch, index)
        self._energy_mj: int | None = None

    def begin(self) -> None:
        """See Meter."""
        self._torch.cuda.synchronize(self._index)
        self._torch.cuda.reset_peak_memory_stats(self._index)
        self._energy_mj = self._energy()

    def end(self) -> Reading:
        """See Meter. Memory that another engine than torch holds is all that is in use on the device."""
        self._torch.cuda.synchronize(self._index)
        energy, before, nvml = self._energy(), self._energy_mj, self._nvml
        peak: int | None = int(self._torch.cuda.max_memory_allocated(self._index)) or None
        clock = None
        if nvml is not None:
            clock = float(nvml.nvmlDeviceGetClockInfo(self._handle, nvml.NVML_CLOCK_SM))
            peak = peak or int(nvml.nvmlDeviceGetMemoryInfo(self._handle).used)
        spent = None if energy is None or before is None or energy <= before else (energy - before) / 1e3
        return Reading(clock_mhz=clock, peak_memory_bytes=peak, energy_j=spent)

    def _energy(self) -> int | None:
        """Millijoules since the driver was loaded; None on devices that do not count them."""
        if self._nvml is None:
            return None
        try:
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._nvml.NVMLError:
            return None


def open_nvml(torch: Any, index: int) -> tuple[Any, Any]:
    """NVML and its handle of torch's device `index`, found by its UUID; (None, None) where nvidia-ml-py is not
    installed or finds no driver."""
    if "pynvml" not in sys.modules and importlib.util.find_spec("pynvml") is None:
        return None, None
    import pynvml

    try:
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(index).uuid)
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
    except pynvml.NVMLError:
        return None, None


def open_meter(device: str) -> Meter:
    """The meter of `cpu` or `cuda:N`."""
    return CudaMeter(int(device.partition(":")[2])) if device.startswith("cuda") else ProcessorMeter()
