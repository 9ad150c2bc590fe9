"""The baseline of a family: measured accuracy of its variants on named data sets, with everything needed to measure it
again."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.documents.checked_json import Node, dump_document, read_document
from runtime.documents.manifest import relative_path
from runtime.errors import DocumentError

FORMAT = "trimoe.baseline"
VERSION = 1
TORCH, ONNX = "torch", "onnx"
ENGINES = (TORCH, ONNX)


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyRecord:
    """The family that was measured: its name, a digest of its weights and variants, and the digest of the checkpoint it
    was cut from."""

    name: str
    digest: str
    source_digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetRecord:
    """The samples: name, kind of task, how many, and the sha256 over their texts and images in order."""

    name: str
    task: str
    samples: int
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinitionRecord:
    """What the score means: metric id and its definition, and how generated text is cleaned before it is scored."""

    metric: str
    meaning: str
    cleanup: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodingRecord:
    """How the answers were generated. `prompt` is the template that questions and options are put into."""

    prompt: str
    strategy: str
    max_new_tokens: int
    batch_size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class IntervalRecord:
    """Interval of the score over samples, at `level`: by bootstrap, or Clopper and Pearson's where all samples score
    the same."""

    level: float
    low: float
    high: float
    resamples: int
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultsRecord:
    """The file of answers and scores, one line a sample; `path` is relative to the folder of the baseline."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRecord:
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


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftwareRecord:
    """A package, program or setting that the numbers may depend on, and its version or value."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The baseline document."""

    trimoe: str
    family: FamilyRecord
    software: tuple[SoftwareRecord, ...]
    scores: tuple[ScoreRecord, ...]


def dump_baseline(baseline: Baseline) -> bytes:
    """The bytes of a baseline file."""
    fields = asdict(baseline)
    fields["software"] = {record.name: record.version for record in baseline.software}
    return dump_document({"format": FORMAT, "version": VERSION, **fields})


def read_baseline(path: Path) -> Baseline:
    """Read and check a baseline file. Raises DocumentError with the key path of what is wrong, also for unknown
    versions."""
    node = read_document(path)
    if node.require("format").string() != FORMAT:
        node.require("format").fail(f"expected {FORMAT!r}: this is not a baseline of trimoe")
    version = node.require("version").integer()
    if version != VERSION:
        node.require("version").fail(f"this trimoe reads version {VERSION}, the file has {version}")
    family = node.require("family")
    baseline = Baseline(
        trimoe=node.require("trimoe").string(),
        family=FamilyRecord(
            name=family.require("name").string(),
            digest=family.require("digest").sha256(),
            source_digest=family.require("source_digest").sha256(),
        ),
        software=tuple(
            SoftwareRecord(name=name, version=node.require("software").require(name).string())
            for name, _ in node.require("software").items()
        ),
        scores=tuple(_score(element) for element in node.require("scores").elements()),
    )
    keys = [score.key for score in baseline.scores]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DocumentError(f"{path}: scores: {' '.join(twice)} occurs twice")
    return baseline


def _one_of(node: Node, allowed: tuple[str, ...]) -> str:
    text = node.string()
    if text not in allowed:
        node.fail(f"expected one of {', '.join(allowed)}, found {text!r}")
    return text


def _record(node: Node, **readers: Any) -> dict[str, Any]:
    return {key: reader(node.require(key)) for key, reader in readers.items()}


def _positive(node: Node) -> int:
    return node.integer(minimum=1)


def _score(node: Node) -> ScoreRecord:
    dataset, interval = node.require("dataset"), node.require("interval")
    record = ScoreRecord(
        variant=node.require("variant").string(),
        engine=_one_of(node.require("engine"), ENGINES),
        dtype=node.require("dtype").string(),
        dataset=DatasetRecord(
            **_record(dataset, name=Node.string, task=Node.string, samples=_positive, digest=Node.sha256)
        ),
        definition=DefinitionRecord(
            **_record(node.require("definition"), metric=Node.string, meaning=Node.string, cleanup=Node.string)
        ),
        decoding=DecodingRecord(
            **_record(
                node.require("decoding"),
                prompt=Node.string,
                strategy=Node.string,
                max_new_tokens=_positive,
                batch_size=_positive,
            )
        ),
        score=node.require("score").number(),
        interval=IntervalRecord(
            **_record(
                interval, level=Node.number, low=Node.number, high=Node.number, resamples=_positive, seed=Node.integer
            )
        ),
        results=ResultsRecord(
            **_record(node.require("results"), path=relative_path, size=Node.integer, sha256=Node.sha256)
        ),
    )
    if not 0 < record.interval.level < 1:
        interval.require("level").fail(f"{record.interval.level} is not between 0 and 1")
    if record.interval.low > record.interval.high:
        interval.require("low").fail(f"{record.interval.low} is above high, {record.interval.high}")
    return record
