"""What a benchmark runs on: processor or accelerator, clocks, threads, load."""

import os
import platform
from pathlib import Path

import psutil

from profiles.errors import MeasurementError
from runtime.documents.latency.profile_document import Clocks, Device

_CPUINFO = Path("/proc/cpuinfo")


def describe_device(device: str, *, threads: int) -> Device:
    """The device called `cpu` or `cuda:N` as a profile names it. Raises MeasurementError for CUDA that is not there."""
    return _cuda(device, threads) if device.startswith("cuda") else _cpu(threads)


def processors() -> tuple[int, ...]:
    """The processors that this process may use."""
    return tuple(sorted(psutil.Process().cpu_affinity()))


def _cpu(threads: int) -> Device:
    frequency = psutil.cpu_freq()
    return Device(
        kind="cpu",
        name=_cpu_name(),
        driver=f"{platform.system()} {platform.release()}",
        memory_bytes=psutil.virtual_memory().total,
        processors=os.cpu_count() or 1,
        threads=threads,
        affinity=processors(),
        clocks=None if frequency is None else Clocks(low_mhz=frequency.current, high_mhz=frequency.current),
        load=os.getloadavg()[0],
    )


def _cpu_name() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cuda(device: str, threads: int) -> Device:
    import torch

    if not torch.cuda.is_available() or torch.device(device).index not in range(torch.cuda.device_count()):
        raise MeasurementError(f"{device}: torch finds {torch.cuda.device_count()} CUDA devices here")
    found = torch.cuda.get_device_properties(torch.device(device))
    clock = float(torch.cuda.clock_rate(torch.device(device)))
    return Device(
        kind="cuda",
        name=found.name,
        driver=f"CUDA {torch.version.cuda}, compute capability {found.major}.{found.minor}",
        memory_bytes=found.total_memory,
        processors=found.multi_processor_count,
        threads=threads,
        affinity=processors(),
        clocks=Clocks(low_mhz=clock, high_mhz=clock),
        load=os.getloadavg()[0],
    )
