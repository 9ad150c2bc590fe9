"""Variants that were never exported, made of a family's blocks: those that an accuracy model and an estimator expect to
be worth having beside the exported ones."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np

from runtime.accuracy.frontier import Allowed, frontier
from runtime.accuracy.predictor import Predictor
from runtime.documents.accuracy.accuracy_model import Setting, read_accuracy_model
from runtime.documents.latency.estimator_document import PROMPT_TOKENS, VISION_TOKENS
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.errors import DocumentError, RequestError
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Layers, Workload
from runtime.serving.forecasting.estimated import EstimatedAccuracies

OUTPUT_TOKENS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Elastic:
    """Variants of the family's blocks that were not exported may answer, with what the accuracy model in the file
    `model` says of them: at most `most` for each task of the model."""

    model: Path
    most: int = 8

    def __post_init__(self) -> None:
        """Raise RequestError for a number below one."""
        if self.most < 1:
            raise RequestError(f"at most {self.most} elastic variants a task: expected 1 or more")


def read_predictor(path: Path, manifest: Manifest) -> Predictor:
    """The accuracy model of a family's source. Raises DocumentError for that of another checkpoint, and for a source
    without experts."""
    model, source = read_accuracy_model(path), manifest.source
    if model.source_digest != source.digest:
        raise DocumentError(
            f"{path}: the accuracy model is of the checkpoint {model.source_digest[:12]}, the family {source.name} was "
            f"cut from {source.digest[:12]}"
        )
    if source.top_k is None:
        raise DocumentError(f"{path}: {source.name} has no experts, so it has no elastic variants")
    return Predictor(model)


def elastic_variants(
    manifest: Manifest, predictor: Predictor, estimator: Estimator, *, most: int
) -> tuple[VariantRecord, ...]:
    """Records of variants that no exported one equals, the largest first: for each task, and for all together, at most
    `most` that beat all others found in predicted accuracy and time."""
    allowed, cost_ms = allowed_settings(manifest, predictor), UsualCost(estimator, experts=manifest.source.experts or 0)
    scores = {task: _Scores(predictor, (task,)) for task in predictor.tasks}
    every = [*scores.values(), _Scores(predictor, predictor.tasks)] if len(scores) > 1 else list(scores.values())
    found = [point for one in every for point in frontier(allowed, one, cost_ms, most=most)]
    exported = {Setting(layers=one.layers, top_k=one.top_k or ()) for one in manifest.variants}
    settings = dict.fromkeys(point.setting for point in sorted(found, key=lambda point: -point.ms))
    sizes = _Sizes(manifest)
    return tuple(sizes.record(one) for one in settings if one not in exported)


def allowed_settings(manifest: Manifest, predictor: Predictor) -> Allowed:
    """What can be made of the family's blocks, each with the experts per token that a variant uses it with, as far as
    the accuracy model reaches."""
    domain, source = predictor.model.domain, manifest.source
    ks: dict[int, set[int]] = {}
    for variant in manifest.variants:
        for block, k in zip(variant.layers, variant.top_k or (), strict=True):
            if k >= domain.least_top_k:
                ks.setdefault(block, set()).add(k)
    if len(ks) < source.blocks:
        missing = sorted(set(range(source.blocks)) - ks.keys())
        raise DocumentError(f"blocks {missing} are in no variant of {source.name}: elastic variants need all blocks")
    return Allowed(
        top_k={block: tuple(sorted(ks[block], reverse=True)) for block in range(source.blocks)},
        removable=frozenset(range(source.blocks)) - set(manifest.choice.protected) - {0},
        most_removed=min(domain.most_removed, max(len(one.removed) for one in manifest.variants)),
    )


class UsualCost:
    """Milliseconds of an answer of usual size."""

    def __init__(self, estimator: Estimator, *, experts: int) -> None:
        """With the longest prompt that the estimator was fitted on, and OUTPUT_TOKENS of an answer."""
        highest = {one.name: int(one.high) for one in estimator.document.domain}
        vision = highest.get(VISION_TOKENS, 0)
        load = Workload(vision_tokens=vision, text_tokens=max(highest.get(PROMPT_TOKENS, 0) - vision, 1))
        self._costs, self._experts = estimator.request(load, output_tokens=OUTPUT_TOKENS, widen=True), experts

    def __call__(self, setting: Setting) -> float:
        """Predicted milliseconds of the setting."""
        return self._costs.predict(Layers.of(setting.top_k, experts=self._experts)).total_ms


class _Scores:
    """Predicted scores, the mean over tasks."""

    def __init__(self, predictor: Predictor, tasks: Sequence[str]) -> None:
        self._predictor, self._tasks = predictor, tasks

    def __call__(self, settings: Sequence[Setting]) -> Sequence[float]:
        found = [[one.score for one in self._predictor.predict(settings, task)] for task in self._tasks]
        means: list[float] = np.mean(found, axis=0).tolist()
        return means


class _Sizes:
    """Parameters and bytes of settings, from those of the family's variants: so much outside all blocks, so much a
    block, so much an expert that a token uses."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        shapes = np.array([_shape(one.layers, one.top_k or ()) for one in manifest.variants], float)
        known = np.array([(one.parameters, one.active_parameters, one.bytes) for one in manifest.variants], float)
        self._each, *_ = np.linalg.lstsq(shapes, known, rcond=None)

    def record(self, setting: Setting) -> VariantRecord:
        source, layers = self._manifest.source, setting.layers
        parameters, active, size = (round(one) for one in np.asarray(_shape(layers, setting.top_k)) @ self._each)
        removed = tuple(block for block in range(source.blocks) if block not in layers)
        return VariantRecord(
            id=elastic_id(setting, blocks=source.blocks, top_k=source.top_k or 0),
            folder=self._manifest.variants[0].folder,
            layers=layers,
            removed=removed,
            top_k=setting.top_k,
            drop=None,
            parameters=parameters,
            active_parameters=active,
            bytes=size,
            shared_bytes=size,
            golden=None,
            checks=(),
        )


def _shape(layers: Sequence[int], top_k: Sequence[int]) -> tuple[int, int, int]:
    return (1, len(layers), sum(top_k))


def elastic_id(setting: Setting, *, blocks: int, top_k: int) -> str:
    """The id that an export would give the setting beside another one of its shape, as exporter/plan/ names them."""
    experts: Mapping[int, int] = dict(zip(setting.layers, setting.top_k, strict=True))
    later = {experts[block] for block in setting.layers[1:]}
    removed = ".".join(str(block) for block in range(blocks) if block not in experts)
    label = f"k{later.pop()}" if len(later) == 1 else "kmix"
    values = ",".join(str(experts.get(block, top_k)) for block in range(blocks))
    digest = hashlib.sha256(values.encode()).hexdigest()[:8] if label == "kmix" else ""
    return "-".join(part for part in (f"b{len(experts)}", label, f"r{removed}" if removed else "", digest) if part)


class ElasticVariants:
    """A family's elastic variants, with what their answers are worth."""

    def __init__(self, manifest: Manifest, how: Elastic, estimator: Estimator) -> None:
        """Find them. Raises DocumentError for the accuracy model of another checkpoint, or of one without experts."""
        predictor = read_predictor(how.model, manifest)
        known = {one.id for one in manifest.variants}
        found = elastic_variants(manifest, predictor, estimator, most=how.most)
        self.variants = tuple(one for one in found if one.id not in known)
        self.accuracies = EstimatedAccuracies(predictor, self.variants)


@runtime_checkable
class Composer(Protocol):
    """An engine that runs variants which were never exported."""

    def compose(self, variant: str, *, layers: Sequence[int], top_k: Sequence[int] | None) -> None:
        """Let prompts name a variant by its source blocks and their experts per token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedVariants:
    """The variants of a manifest, and elastic ones behind them."""

    exported: Manifest
    elastic: ElasticVariants | None = None

    @property
    def manifest(self) -> Manifest:
        """The manifest with all of them."""
        added = () if self.elastic is None else self.elastic.variants
        return msgspec.structs.replace(self.exported, variants=(*self.exported.variants, *added))

    @property
    def accuracies(self) -> EstimatedAccuracies | None:
        """What answers of the elastic ones are worth."""
        return None if self.elastic is None else self.elastic.accuracies

    def compose(self, engine: object) -> None:
        """Tell the engine of the elastic ones. Raises DocumentError for one that runs only what was exported, and for a
        family without graphs of blocks."""
        if self.elastic is None:
            return
        if not isinstance(engine, Composer):
            raise DocumentError("elastic variants are made of graphs of blocks: they need the onnx engine")
        for one in self.elastic.variants:
            engine.compose(one.id, layers=one.layers, top_k=one.top_k)
