"""The parts of a family that answers, opened from its folder."""

import importlib.metadata
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from runtime.documents.baseline import ONNX
from runtime.documents.family_digest import family_digest
from runtime.documents.family_layout import GRAPHS
from runtime.documents.latency.estimator_document import read_estimator
from runtime.documents.manifest import Manifest
from runtime.engines.open import open_engine
from runtime.engines.protocol import Engine
from runtime.engines.settings import EngineSettings
from runtime.errors import DocumentError
from runtime.latency.estimator import Estimator
from runtime.serving.batching.answering.transcript import Reader
from runtime.serving.batching.scheduler import Scheduler
from runtime.serving.decisions.journal import Journal
from runtime.serving.decisions.record import LogHeader
from runtime.serving.elastic import ElasticVariants, ServedVariants
from runtime.serving.family_settings import FamilySettings
from runtime.serving.forecasting.accuracies import Accuracies
from runtime.serving.forecasting.chooser import Chooser
from runtime.serving.forecasting.forecast import Forecaster
from runtime.serving.forecasting.lengths import Lengths, Seen
from runtime.serving.pool import Pool
from runtime.serving.served_engine import ServedEngine
from runtime.serving.variant_sizes import variant_sizes

FLOAT32 = "float32"


def open_engines(
    folder: Path,
    variants: ServedVariants,
    reader: Reader,
    settings: FamilySettings,
    *,
    engine: str,
    device: str | None,
    dtypes: Sequence[str] | None,
) -> dict[str, ServedEngine]:
    """An engine for each type of weights, with its scheduler; `dtypes` None: all that the family has graphs in, for
    torch the checkpoint's. No variant is loaded yet, but torch's first. Raises DocumentError, MissingPackageError."""
    opened: dict[str, ServedEngine] = {}
    with ExitStack() as undo:
        for asked in _graph_types(folder, dtypes) if engine == ONNX else [FLOAT32]:
            running = open_engine(
                engine,
                folder,
                variants.exported,
                EngineSettings(
                    dtype=asked,
                    device=device,
                    threads=settings.threads,
                    records=settings.records,
                    prefix_bytes=settings.prefix_bytes,
                    prepared=settings.prepared,
                ),
            )
            undo.callback(running.close)
            variants.compose(running)
            dtype = asked if engine == ONNX else running.load(variants.exported.variants[0].id)
            sizes = variant_sizes(folder, variants.manifest, engine=engine, dtype=dtype, shared=running.shares_weights)
            pool = Pool(running, sizes, most_bytes=settings.most_bytes)
            opened[dtype] = serve_engine(running, reader, settings, pool)
            undo.callback(opened[dtype].scheduler.close, drain=False)
        if dtypes is not None and set(dtypes) - opened.keys():
            raise DocumentError(f"{folder}: the {engine} engine runs {', '.join(opened)}, not {', '.join(dtypes)}")
        undo.pop_all()
    return opened


def serve_engine(running: Engine, reader: Reader, settings: FamilySettings, pool: Pool | None = None) -> ServedEngine:
    """The engine with a scheduler, over the variants of `pool`."""
    scheduler = Scheduler(running, reader, limits=settings.limits, variants=pool)
    return ServedEngine(engine=running, scheduler=scheduler, max_rows=settings.limits.max_rows, pool=pool)


def _graph_types(folder: Path, dtypes: Sequence[str] | None) -> list[str]:
    """Those asked for, which the engine checks, or all there are."""
    found = sorted(path.name for path in (folder / GRAPHS).glob("*") if path.is_dir())
    return list(dtypes or found or [FLOAT32])


def open_estimators(paths: Sequence[str | Path]) -> tuple[Estimator, ...]:
    """Read them. Raises DocumentError."""
    return tuple(Estimator(read_estimator(Path(path))) for path in paths)


def open_elastic(
    settings: FamilySettings, manifest: Manifest, estimators: Sequence[Estimator]
) -> ElasticVariants | None:
    """The variants that were never exported, if such are to be served. Raises DocumentError for the accuracy model of
    another checkpoint, and where there is no estimator to weigh them by."""
    if settings.elastic is None:
        return None
    if not estimators:
        raise DocumentError("elastic variants are chosen by what they take: give an estimator (`trimoe fit`) too")
    return ElasticVariants(manifest, settings.elastic, estimators[0])


def open_chooser(
    manifest: Manifest,
    accuracies: Accuracies,
    estimators: Sequence[Estimator],
    settings: FamilySettings,
    *,
    engine: str,
    dtypes: Sequence[str],
    seen: Iterable[Seen] = (),
) -> Chooser:
    """`seen` are earlier answers. Raises
    DocumentError for estimators that are not of this engine and these types."""
    forecaster = Forecaster(manifest, dtypes, accuracies, estimators, engine=engine, widen=settings.widen)
    lengths = Lengths(quantile=settings.quantile, seen=seen)
    return Chooser(forecaster, lengths, default_tokens=settings.limits.default_tokens)


def open_journal(manifest: Manifest, settings: FamilySettings, *, engine: str, dtypes: Sequence[str]) -> Journal | None:
    """The decision log, if there is to be one. Raises TargetError."""
    if settings.log is None:
        return None
    header = LogHeader(
        trimoe=importlib.metadata.version("trimoe"),
        family=manifest.source.name,
        digest=family_digest(manifest.files, manifest.variants),
        engine=engine,
        dtypes=tuple(dtypes),
    )
    return Journal(settings.log.open(header), prompts=settings.log_prompts)
