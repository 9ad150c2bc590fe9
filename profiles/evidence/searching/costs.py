"""What a cut of a model costs: a part that is always there, and one for each block by its experts per token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from exporter.architectures.dimensions import ModelDimensions
from profiles.errors import MeasurementError
from profiles.evidence.measuring.exam import Exam
from profiles.evidence.running.cut import Cut
from profiles.evidence.running.source_model import SourceModel
from profiles.evidence.running.staged_model import StagedModel
from profiles.latency.fit.profile_points import OUTPUT_TOKENS
from runtime.documents.latency.estimator_document import read_estimator
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Layers, Workload

MILLISECONDS = "ms"
ACTIVE = "million active parameters"


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """`fixed` is always there; `blocks[b]` has what block b adds by its experts per token (None: as the source has
    it)."""

    unit: str
    fixed: float
    blocks: tuple[Mapping[int | None, float], ...]

    def of(self, cut: Cut) -> float:
        """The cost of a cut."""
        return self.fixed + sum(self.blocks[block][k] for block, k in cut.steps(len(self.blocks)))


def costs_of(model: SourceModel, exams: Sequence[Exam], top_ks: tuple[int, ...], *, estimator: Path | None) -> Costs:
    """By what the estimator in a file predicts for the mean prompt of the exams, or by active parameters. Raises
    DocumentError for a file that is none, MeasurementError where no number of experts is below a block's."""
    source = model.dimensions.top_k
    if source is None or not any(k < source for k in top_ks):
        raise MeasurementError(f"no block has more than {min(top_ks)} experts per token: there is nothing to lower")
    if estimator is None:
        return active_parameters(model.staged, top_ks)
    loads = [exam.load() for exam in exams]
    vision, text = (
        round(fmean(sizes)) for sizes in zip(*((one.vision_tokens, one.text_tokens) for one in loads), strict=True)
    )
    load = Workload(vision_tokens=vision, text_tokens=text)
    return estimated_ms(Estimator(read_estimator(estimator)), model.dimensions, load, top_ks)


def active_parameters(model: StagedModel, top_ks: tuple[int, ...]) -> Costs:
    """By the parameters of blocks that a token is multiplied with."""
    blocks = tuple(
        {k: model.active_parameters(block, k) / 1e6 for k in _choices(model.top_k(block), top_ks)}
        for block in range(model.blocks)
    )
    return Costs(unit=ACTIVE, fixed=0.0, blocks=blocks)


def estimated_ms(estimator: Estimator, dimensions: ModelDimensions, load: Workload, top_ks: tuple[int, ...]) -> Costs:
    """By what an estimator predicts for an answer of OUTPUT_TOKENS to such a prompt, also outside its domain: it
    predicts the sum of what layers take, which is asked for here layer by layer."""
    request = estimator.request(load, output_tokens=OUTPUT_TOKENS, widen=True)
    experts = dimensions.experts or 0

    def total(k: int | None, layers: int) -> float:
        return request.predict(Layers.of([k] * layers, experts=experts)).total_ms

    def choices(block: int) -> tuple[int | None, ...]:
        return _choices(dimensions.top_k if dimensions.sparse[block] else None, top_ks)

    source = [dimensions.top_k if sparse else None for sparse in dimensions.sparse]
    blocks = tuple(
        {
            k: total(source[block] if k is None else k, 2) - total(source[block] if k is None else k, 1)
            for k in choices(block)
        }
        for block in range(dimensions.blocks)
    )
    return Costs(unit=MILLISECONDS, fixed=2 * total(source[0], 1) - total(source[0], 2), blocks=blocks)


def _choices(source: int | None, top_ks: tuple[int, ...]) -> tuple[int | None, ...]:
    """The source's own number, and each smaller one; only the former in a dense block."""
    return (None, *(k for k in top_ks if source is not None and k < source))
