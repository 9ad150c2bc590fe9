"""What is read from the family and the process whenever metrics are asked for."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runtime.serving.http.served import ServedState

_STATM = Path("/proc/self/statm")


class FamilyCollector(Collector):
    """Queue, running rows, memory and drift as they are now."""

    def __init__(self, state: Callable[[], ServedState]) -> None:
        self._state = state

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: the family is not asked when the collector is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        state = self._state()
        yield _gauge("trimoe_waiting", "Requests that wait for the engine.", float(state.waiting))
        yield _labelled("trimoe_running", "Sequences that the engine runs.", "variant", state.running)
        yield _labelled("trimoe_drift", "Factor by which times differ from the estimator's.", "stage", state.drift)
        memory = {"variants": float(state.loaded_bytes)}
        if _STATM.exists():
            memory["process"] = float(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        yield _labelled("trimoe_memory_bytes", "Memory of the loaded variants, and of the process.", "of", memory)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], value)
    return metric
