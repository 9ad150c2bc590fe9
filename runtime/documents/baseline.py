"""The baseline of a family: measured accuracy of its variants on named data sets, with everything needed to measure it
again.

The format is trimoe's own, "trimoe.baseline" version 1; the types below are its definition.
"""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from runtime.documents.checked_json import Node, dump_document, read_document, shorten
from runtime.documents.schema import Natural, Positive, RelativePath, Sha256, convert, fields_of, read_fields

FORMAT = "trimoe.baseline"
VERSION = 1
TORCH, ONNX = "torch", "onnx"
ENGINES = (TORCH, ONNX)


class FamilyRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The family that was measured: its name, a digest of its weights and variants, and the digest of the checkpoint it
    was cut from."""

    name: str
    digest: Sha256
    source_digest: Sha256


class DatasetRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The samples: name, kind of task, how many, and the sha256 over their texts and images in order; `skipped` are the
    ids of those that could not be asked and were left out."""

    name: str
    task: str
    samples: Positive
    digest: Sha256
    skipped: tuple[str, ...] = ()


class DefinitionRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the score means: metric id and its definition, and how generated text is cleaned before it is scored."""

    metric: str
    meaning: str
    cleanup: str


class DecodingRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the answers were generated. `prompt` is the template that questions and options are put into; with `chat`
    that is a user's turn in the tokenizer's own template, behind the `system` text. Answers end before a text of
    `stop`."""

    prompt: str
    strategy: str
    max_new_tokens: Positive
    batch_size: Positive
    chat: bool = False
    system: str | None = None
    stop: tuple[str, ...] = ()


class IntervalRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Interval of the score over samples, at `level`: by bootstrap, or Clopper and Pearson's where all samples score
    the same."""

    level: float
    low: float
    high: float
    resamples: Positive
    seed: int


class ResultsRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of answers and scores, one line a sample; `path` is relative to the folder of the baseline."""

    path: RelativePath
    size: Natural
    sha256: Sha256


class ResultRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line of a file of results behind its first, which has the settings: the answer to one sample, and its score.
    `image` names the sample's image where other samples have the same one."""

    id: str
    answer: str
    score: float
    image: str | None = None


class ScoreRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One variant, run by one engine in one dtype, on one data set. `score` is the mean over samples."""

    variant: str
    engine: str
    dtype: str
    dataset: DatasetRecord
    definition: DefinitionRecord
    decoding: DecodingRecord
    score: float
    interval: IntervalRecord
    results: ResultsRecord

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What no two scores of a baseline share: variant, engine, dtype and data set."""
        return (self.variant, self.engine, self.dtype, self.dataset.name)


class Baseline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The baseline document. `software`: packages, programs and settings that the numbers may depend on, and their
    version or value."""

    trimoe: str
    family: FamilyRecord
    software: Mapping[str, str]
    scores: tuple[ScoreRecord, ...]


def dump_baseline(baseline: Baseline) -> bytes:
    """The bytes of a baseline file."""
    return dump_document({"format": FORMAT, "version": VERSION, **fields_of(baseline)})


def read_baseline(path: Path) -> Baseline:
    """Read and check a baseline file. Raises DocumentError with the key path of what is wrong, also for unknown
    versions."""
    node = read_fields(read_document(path), format=FORMAT, version=VERSION, what="a baseline of trimoe")
    baseline = convert(node, Baseline)
    for place, score in zip(node.require("scores").elements(), baseline.scores, strict=True):
        _check_score(place, score)
    keys = [score.key for score in baseline.scores]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        node.require("scores").fail(f"{' '.join(twice)} occurs twice")
    return baseline


def _check_score(node: Node, score: ScoreRecord) -> None:
    if score.engine not in ENGINES:
        node.require("engine").fail(f"expected one of {', '.join(ENGINES)}, found {shorten(score.engine)!r}")
    interval, place = score.interval, node.require("interval")
    if not 0 < interval.level < 1:
        place.require("level").fail(f"{interval.level} is not between 0 and 1")
    if interval.low > interval.high:
        place.require("low").fail(f"{interval.low} is above high, {interval.high}")
