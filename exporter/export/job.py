"""What the stages of one export share, and what an export ends with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.checkpoint.reader import SourceReader
from exporter.export.protocols import GraphForm, LogitCheck
from exporter.plan.plan import Plan
from exporter.weights.pipeline import Pipeline
from runtime.documents.manifest import Manifest
from runtime.text.progress import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportJob:
    """The plan, where its family goes, and what works on it.

    `auxiliary` are the bytes of the small files by name (exporter.family.variant_folder.auxiliary_files); `replace`
    lets another family at `target` give way; `graphs` is there when the plan asks for graphs, `logits` unless the logit
    check is left out.
    """

    plan: Plan
    target: Path
    auxiliary: Mapping[str, bytes]
    replace: bool
    reader: SourceReader
    pipeline: Pipeline
    progress: Progress
    graphs: GraphForm | None
    logits: LogitCheck | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportResult:
    """A published family. `up_to_date`: it was there already and nothing was written; `resumed`: shards kept from an
    interrupted export."""

    folder: Path
    manifest: Manifest
    up_to_date: bool
    resumed: int
    notes: tuple[str, ...]
