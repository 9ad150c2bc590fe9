"""Opens a family for loads, whether or not it has a tokenizer, and keeps its engine at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from profiles.benchmarks.serving.token_reader import TokenReader
from profiles.latency.bench.prompts import TOKENIZER_FILES
from runtime.documents.baseline import ONNX, read_baseline
from runtime.documents.manifest import Manifest, VariantRecord, read_manifest
from runtime.engines.prompts import PromptReader
from runtime.engines.protocol import Engine
from runtime.serving.elastic import ServedVariants
from runtime.serving.family import Family
from runtime.serving.family_settings import FamilySettings
from runtime.serving.forecasting.accuracies import Accuracies
from runtime.serving.open_parts import open_chooser, open_engines, open_estimators


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A family in its folder, and the files that its choices are made by."""

    folder: Path
    manifest: Manifest
    estimator: Path
    baseline: Path | None
    dtype: str
    settings: FamilySettings

    @property
    def whole(self) -> VariantRecord:
        """The variant that keeps the most of the source."""
        return max(self.manifest.variants, key=lambda one: (len(one.layers), one.active_parameters))


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A family whose variants are all loaded; `engine` may be run directly while no request is in progress."""

    family: Family
    engine: Engine
    reader: PromptReader | TokenReader
    accuracies: Accuracies

    def accuracy(self, variant: str, dtype: str, task: str | None) -> float | None:
        """The measured accuracy of a variant; None where it was not measured."""
        found = self.accuracies.of(variant, dtype, task)
        return found.score if found is not None and found.measured else None


def read_served(folder: Path, *, estimator: Path, baseline: Path | None, dtype: str, threads: int | None) -> Served:
    """Raises DocumentError."""
    return Served(
        folder=folder,
        manifest=read_manifest(folder),
        estimator=estimator,
        baseline=baseline,
        dtype=dtype,
        settings=FamilySettings(threads=threads),
    )


@contextmanager
def opened(served: Served) -> Iterator[Opened]:
    """The family, closed at the end. Raises as Family.load does."""
    manifest, settings = served.manifest, served.settings
    measured = None if served.baseline is None else read_baseline(served.baseline)
    accuracies = Accuracies(manifest, measured, engine=ONNX)
    reader = _reader(served)
    engines = open_engines(
        served.folder,
        ServedVariants(exported=manifest),
        reader,
        settings,
        engine=ONNX,
        device=None,
        dtypes=[served.dtype],
    )
    chooser = open_chooser(
        manifest, accuracies, open_estimators([served.estimator]), settings, engine=ONNX, dtypes=[served.dtype]
    )
    with Family(manifest, reader, engines, chooser, tasks=accuracies.tasks) as family:
        family.prepare()
        yield Opened(family=family, engine=engines[served.dtype].engine, reader=reader, accuracies=accuracies)


def _reader(served: Served) -> PromptReader | TokenReader:
    folder = served.folder / served.manifest.variants[0].folder
    if served.manifest.source.synthetic and not any((folder / name).exists() for name in TOKENIZER_FILES):
        return TokenReader()
    return PromptReader(folder)
