"""What one picture shows: the times of one engine with one type of weights in one profile."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from runtime.documents.latency.profile_document import LatencyProfile, Point
from runtime.engines.stages import DECODE, PREFILL
from runtime.latency.workload import Layers, Workload
from runtime.text.one_line import one_line


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileFile:
    """A profile, the file that it was read from, and the sha256 of that file."""

    path: Path
    sha256: str
    profile: LatencyProfile


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """The points of one engine and type of weights; `layers` has every variant of the profile, those without points
    too, shallow before deep and few experts before many."""

    file: ProfileFile
    engine: str
    dtype: str
    layers: Mapping[str, Layers]
    points: tuple[Point, ...]

    @property
    def form(self) -> tuple[str, str]:
        """The engine and the type of weights."""
        return self.engine, self.dtype

    @property
    def name(self) -> str:
        """The series in a word or two, e.g. `onnx float32`."""
        return one_line(f"{self.engine} {self.dtype}")

    @property
    def measured(self) -> tuple[str, ...]:
        """The variants that have points, in the order of `layers`."""
        found = {point.variant for point in self.points}
        return tuple(variant for variant in self.layers if variant in found)


def split_series(file: ProfileFile) -> tuple[Series, ...]:
    """The series of a profile, in the order in which they appear."""
    profile = file.profile
    layers = {
        one.id: Layers.of(one.top_k or (None,) * one.layers, experts=profile.model.experts or 0)
        for one in profile.variants
    }
    layers = dict(sorted(layers.items(), key=lambda item: (item[1].depth, mean_top_k(item[1]), item[0])))
    forms = dict.fromkeys((point.engine, point.dtype) for point in profile.points)
    return tuple(
        Series(
            file=file,
            engine=engine,
            dtype=dtype,
            layers=layers,
            points=tuple(point for point in profile.points if (point.engine, point.dtype) == (engine, dtype)),
        )
        for engine, dtype in forms
    )


def mean_top_k(layers: Layers) -> float:
    """The mean number of experts a token over the layers; 0 in a dense model."""
    return fmean(k or 0 for k, count in layers.counts for _ in range(count))


def later_top_k(top_k: tuple[int, ...] | None) -> int | None:
    """The experts a token of the layers after the first, where those all have the same; None else."""
    different = set((top_k or ())[1:] or top_k or ())
    return different.pop() if len(different) == 1 else None


def load_of(point: Point) -> Workload:
    """The load under which a point was measured."""
    return Workload(batch=point.batch, vision_tokens=point.vision_tokens, text_tokens=point.text_tokens)


def show_load(load: Workload) -> str:
    """A load in words, e.g. `batch 1, 24 vision + 33 text tokens`."""
    seen = f"{load.vision_tokens} vision + " if load.vision_tokens else ""
    return f"batch {load.batch}, {seen}{load.text_tokens} text tokens"


def reference_load(series: tuple[Series, ...]) -> Workload | None:
    """The load that pictures of one load show: the one under which most variants of all series ran a prompt and
    decoded; of several such the smallest batch, then the most vision tokens, then the shortest text. None without one.
    """
    stages: dict[Workload, dict[tuple[str, str, str], set[str]]] = {}
    for one in series:
        for point in one.points:
            runs = stages.setdefault(load_of(point), {})
            runs.setdefault((one.engine, one.dtype, point.variant), set()).add(point.stage)
    counts = {load: sum(found >= {PREFILL, DECODE} for found in runs.values()) for load, runs in stages.items()}
    complete = [load for load, count in counts.items() if count]
    if not complete:
        return None
    return min(complete, key=lambda load: (-counts[load], load.batch, -load.vision_tokens, load.text_tokens))
