"""The stage of verification: structure, answers and graphs of the staged variants."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.export.job import ExportJob
from exporter.export.protocols import LogitCheck
from exporter.export.staged_family import StagedFamily
from exporter.verify.export_structure import check_structure
from exporter.weights.shard_layout import data_bytes, group_by_data
from runtime.documents.check import Check


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedVariant:
    """What was verified of a variant's answers, and its golden file (relative to the family), if one was written."""

    golden: str | None
    checks: tuple[Check, ...]


def check_family(job: ExportJob, folder: Path, family: StagedFamily) -> Mapping[str, CheckedVariant]:
    """Verify the family staged at `folder`; the checks of each variant by its id. Golden files are written there.

    Raises VerificationError, CheckpointError, SourceChangedError.
    """
    check_structure(folder, job.plan)
    answers = _skipped(job) if job.logits is None else _check_answers(job, folder, job.logits)
    if job.graphs is None:
        return answers
    graphs = job.graphs.check(folder, family.graph_data, answers=job.logits is not None, progress=job.progress)
    job.reader.check()
    return {
        variant: CheckedVariant(golden=checked.golden, checks=(*checked.checks, *graphs[variant]))
        for variant, checked in answers.items()
    }


def _skipped(job: ExportJob) -> dict[str, CheckedVariant]:
    checks = (Check(name="logits", outcome="skipped", detail="--no-logits was given"),)
    return {variant.id: CheckedVariant(golden=None, checks=checks) for variant in job.plan.variants}


def _check_answers(job: ExportJob, folder: Path, check: LogitCheck) -> dict[str, CheckedVariant]:
    source_bytes = sum(data_bytes(group[0]) for group in group_by_data(job.plan.shards))
    job.progress.begin("checking logits", job.plan.bytes + source_bytes)
    found = check(
        checkpoint=job.plan.checkpoint, plan=job.plan, folder=folder.absolute(), progress=job.progress.advance
    )
    job.reader.check()
    return {
        variant.id: CheckedVariant(golden=found[variant.id].golden, checks=found[variant.id].checks)
        for variant in job.plan.variants
    }
