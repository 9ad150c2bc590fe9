"""Where stages stand in a roofline (Williams, Waterman and Patterson 2009): arithmetic and bytes counted from shapes,
over the time that was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from profiles.reports.latency.series import Series, load_of
from profiles.reports.latency.shapes import BlockShape, FamilyShape
from runtime.documents.latency.profile_document import Point
from runtime.engines.stages import DECODE, PREFILL, VISION
from runtime.latency.terms import experts_hit
from runtime.latency.workload import Workload

BYTES_PER_WEIGHT = {"float64": 8.0, "float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5}
BYTES_PER_ACTIVATION = {"float64": 8.0, "float16": 2.0, "bfloat16": 2.0}  # 4 elsewhere
ASSUMED = (
    "2 operations for each element of a matrix that a token meets, and attention over the tokens before it",
    "the weights of every matrix used are read once a call; of the experts as many as even routing would hit",
    "the cache is read once by each decoded token and written once by a prompt; other activations move nothing",
    "weights take 4 (float32), 2 (16 bits), 1 (int8) or 0.5 bytes (int4), their scales nothing",
    "the vision tower sees the patches of its vision tokens, and no others",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Floating-point operations of a call, and bytes that it moves."""

    operations: float
    moved: float

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.moved


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A point of a profile in the roofline."""

    point: Point
    work: Work

    @property
    def gflops(self) -> float:
        """Achieved billions of operations a second."""
        return self.work.operations / self.point.median_ms / 1e6

    @property
    def gigabytes(self) -> float:
        """Achieved billions of bytes a second."""
        return self.work.moved / self.point.median_ms / 1e6


def places(series: Series, shape: FamilyShape) -> tuple[Place, ...]:
    """Every point of the stages with matrices: vision, prefill and decode. None for a type of weights of unknown size
    and for variants that the family does not have."""
    weight = BYTES_PER_WEIGHT.get(series.dtype)
    if weight is None:
        return ()
    activation = BYTES_PER_ACTIVATION.get(series.dtype, 4.0)
    found = []
    for point in series.points:
        if point.variant in shape.variants:
            work = _work(point, series, shape, weight, activation)
            if work is not None:
                found.append(Place(point=point, work=work))
    return tuple(found)


def _work(point: Point, series: Series, shape: FamilyShape, weight: float, activation: float) -> Work | None:
    load = load_of(point)
    if point.stage == VISION:
        return _vision_work(load, shape, weight)
    if point.stage not in (PREFILL, DECODE):
        return None
    variant = next(one for one in series.file.profile.variants if one.id == point.variant)
    blocks = shape.variants[point.variant]
    top_k = variant.top_k or (0,) * len(blocks)
    position = None if point.stage == PREFILL else point.position or 0.0
    works = [_block_work(block, k, load, position) for block, k in zip(blocks, top_k, strict=True)]
    operations = sum(one for one, _, _ in works) + 2.0 * load.batch * shape.head
    moved = weight * (sum(one for _, one, _ in works) + shape.head) + activation * sum(one for _, _, one in works)
    return Work(operations=operations, moved=moved)


def _block_work(block: BlockShape, k: int, load: Workload, position: float | None) -> tuple[float, float, float]:
    """Operations of a block, elements of weights that it reads, elements of the cache that it reads or writes; of a
    prompt, or of one token of each sequence at a position."""
    each = load.prompt_tokens if position is None else 1
    tokens = load.batch * each
    pairs = tokens * ((each + 1) / 2 if position is None else position + 1)
    operations = 2.0 * tokens * (block.shared + k * block.expert) + 4.0 * pairs * block.query_width
    hit = experts_hit(tokens, k, block.experts) if block.experts else 0.0
    cached = tokens if position is None else tokens * (position + 1)
    return operations, block.shared + hit * block.expert, float(cached * block.cache_width)


def _vision_work(load: Workload, shape: FamilyShape, weight: float) -> Work | None:
    if shape.vision is None or not load.vision_tokens:
        return None
    tokens = load.batch * load.vision_tokens
    operations = 2.0 * tokens * (shape.vision.patches * shape.vision.tower + shape.vision.projector)
    return Work(operations=operations, moved=weight * (shape.vision.tower + shape.vision.projector))


def best_rates(found: Sequence[Place]) -> tuple[float, float]:
    """The most GFLOP/s and the most GB/s that any point reached."""
    return max(one.gflops for one in found), max(one.gigabytes for one in found)
