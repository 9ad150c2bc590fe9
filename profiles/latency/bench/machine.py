"""What a benchmark runs on: processor or accelerator, driver, threads, load."""

import os
import platform
from pathlib import Path

import psutil

from profiles.errors import MeasurementError
from profiles.latency.bench.meters import open_nvml
from runtime.documents.latency.profile_document import Device

_CPUINFO = Path("/proc/cpuinfo")


def describe_device(device: str, *, threads: int) -> Device:
    """The device called `cpu` or `cuda:N` as a profile names it, but for its clocks, which a run sees. Raises
    MeasurementError for CUDA that is not there."""
    return _cuda(device, threads) if device.startswith("cuda") else _cpu(threads)


def processors() -> tuple[int, ...]:
    """The processors that this process may use."""
    return tuple(sorted(psutil.Process().cpu_affinity()))


def _cpu(threads: int) -> Device:
    return Device(
        kind="cpu",
        name=_cpu_name(),
        driver=f"{platform.system()} {platform.release()}",
        memory_bytes=psutil.virtual_memory().total,
        processors=os.cpu_count() or 1,
        threads=threads,
        affinity=processors(),
        clocks=None,
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

    index, count = int(device.partition(":")[2]), torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise MeasurementError(f"{device}: torch {torch.__version__} finds {count} CUDA devices here")
    found = torch.cuda.get_device_properties(index)
    nvml, _ = open_nvml(torch, index)
    driver = "" if nvml is None else f"NVIDIA {nvml.nvmlSystemGetDriverVersion()}, "
    return Device(
        kind="cuda",
        name=found.name,
        driver=f"{driver}CUDA {torch.version.cuda}, compute capability {found.major}.{found.minor}",
        memory_bytes=found.total_memory,
        processors=found.multi_processor_count,
        threads=threads,
        affinity=processors(),
        clocks=None,
        load=os.getloadavg()[0],
    )
