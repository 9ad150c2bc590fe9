"""Settings measured by exams of a source model: what may be asked, and the scores."""

from collections.abc import Mapping, Sequence

from exporter.architectures.dimensions import ModelDimensions
from profiles.errors import MeasurementError
from profiles.evidence.accuracy_model.build import Measure, Request, Task
from profiles.evidence.accuracy_model.settings import Design
from profiles.evidence.measuring.exam import Exam, Progress
from profiles.evidence.measuring.texts import LOG_LIKELIHOOD
from profiles.evidence.running.cut import Cut
from profiles.evidence.running.source_model import SourceModel
from runtime.accuracy.frontier import Allowed
from runtime.documents.accuracy.accuracy_model import Setting


def request_of(source: SourceModel, exams: Sequence[Exam], design: Design) -> Request:
    """What to build for the exams of a source. Raises MeasurementError for a source without experts, for numbers that
    it has not, and for a text, whose likelihood is no share."""
    dimensions = source.dimensions
    if dimensions.top_k is None:
        raise MeasurementError(
            "the model has no experts: its settings would differ in blocks alone; see `trimoe search`"
        )
    if wrong := [k for k in design.top_ks if k > dimensions.top_k]:
        raise MeasurementError(f"{wrong[0]} experts per token: the source has {dimensions.top_k}")
    if not 0 <= design.most_removed < source.blocks:
        raise MeasurementError(f"cannot remove {design.most_removed} blocks: the model has {source.blocks}")
    if texts := [exam.name for exam in exams if exam.metric == LOG_LIKELIHOOD]:
        raise MeasurementError(f"{texts[0]}: the likelihood of a text is no score between 0 and 1; give questions")
    return Request(
        source_digest=source.digest,
        allowed=Allowed(
            top_k=_experts(dimensions, design.top_ks),
            removable=frozenset(range(1, source.blocks)),
            most_removed=design.most_removed,
        ),
        tasks=tuple(Task(name=exam.name, metric=exam.metric, samples=exam.count) for exam in exams),
        count=design.count,
        held_out=design.held_out,
        seed=design.seed,
    )


def _experts(dimensions: ModelDimensions, top_ks: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
    """Of each block, the first and those without experts keep the source's."""
    whole = dimensions.top_k or 1
    wanted = tuple(sorted({whole, *(top_ks or (max(whole // 2, 1), max(whole // 4, 1)))}, reverse=True))
    return {block: wanted if block and dimensions.sparse[block] else (whole,) for block in range(dimensions.blocks)}


def scores_by(exams: Sequence[Exam], dimensions: ModelDimensions, progress: Progress) -> Measure:
    """What asks the exams. Its scores are out of 1; raises MeasurementError for a metric that goes beyond."""

    def measure(settings: Sequence[Setting]) -> Mapping[str, Sequence[float]]:
        cuts = [cut_of(one, dimensions) for one in settings]
        return {exam.name: _shares(exam, cuts, progress) for exam in exams}

    return measure


def _shares(exam: Exam, cuts: Sequence[Cut], progress: Progress) -> list[float]:
    found = exam.measure(cuts, progress)
    scores = [found[cut] for cut in cuts]
    if not all(0 <= score <= 1 for score in scores):
        raise MeasurementError(
            f"{exam.name}: {exam.metric} gives {max(scores):g}: an accuracy model needs scores of 0–1"
        )
    return scores


def cut_of(setting: Setting, dimensions: ModelDimensions) -> Cut:
    """The setting as a way to run the source."""
    pairs = zip(setting.layers, setting.top_k, strict=True)
    return Cut(
        removed=tuple(block for block in range(dimensions.blocks) if block not in setting.layers),
        top_k=tuple((block, k) for block, k in pairs if k != dimensions.top_k and dimensions.sparse[block]),
    )
