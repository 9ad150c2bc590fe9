"""Export a plan as a family: staged beside the target, compared with the source, verified, and then renamed into
place."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from exporter.checkpoint.reader import SourceReader
from exporter.export.job import ExportJob, ExportResult
from exporter.export.protocols import BuildCheck, GraphForm, LogitCheck
from exporter.export.publication import publish_family
from exporter.export.staged_family import stage_family
from exporter.export.staged_weights import stage_weights
from exporter.export.up_to_date import find_existing
from exporter.export.verified_family import check_family
from exporter.family.disk_space import writing
from exporter.family.existing import read_existing
from exporter.family.source_guard import check_tied_head
from exporter.family.staging import Staging
from exporter.family.target_folder import check_target, make_parent
from exporter.family.variant_folder import auxiliary_files
from exporter.plan.plan import Plan
from exporter.weights.pipeline import make_pipeline
from runtime.errors import TargetError
from runtime.text.progress import Progress

THREADS = 4


def export_family(
    plan: Plan,
    target: Path,
    *,
    logits: LogitCheck | None,
    replace: bool,
    progress: Progress,
    graphs: GraphForm | None = None,
    buildable: BuildCheck | None = None,
) -> ExportResult:
    """Write the family of `plan` to `target`, verified, in one visible step; an interrupted export of the same plan is
    resumed.

    A family of this very plan at `target` is left alone; another family only gives way when `replace` is set. Without
    `logits` each variant's check "logits" is recorded as skipped. `graphs` writes the ONNX form, where the plan asks
    for one. `buildable` is asked before anything is written. On errors the staging folder stays for the next run if it
    holds finished shards.

    Raises TargetError, SourceChangedError, CheckpointError, DocumentError, VerificationError.
    """
    assert (graphs is None) == (plan.graphs is None), "the plan says whether there are graphs"
    check_target(target, plan.checkpoint.folder)
    with ThreadPoolExecutor(THREADS) as pool, SourceReader(plan.checkpoint) as reader:
        job = ExportJob(
            plan=plan,
            target=target,
            auxiliary=auxiliary_files(plan),
            replace=replace,
            reader=reader,
            pipeline=make_pipeline(pool),
            progress=progress,
            graphs=graphs,
            logits=logits,
        )
        try:
            return _export(job, buildable)
        finally:
            progress.end()


def _export(job: ExportJob, buildable: BuildCheck | None) -> ExportResult:
    job.reader.check()
    present = find_existing(job)
    if present is not None:
        return present
    check_tied_head(job.plan)
    if buildable is not None:
        buildable(plan=job.plan)
    make_parent(job.target)
    with Staging(job.target) as staging:
        if not job.replace and read_existing(job.target) is not None:
            raise TargetError(f"{job.target}: another export has just written it; run the command again")
        return _write(job, staging)


def _write(job: ExportJob, staging: Staging) -> ExportResult:
    """The stages: each takes what the ones before it found, and only the last one shows anything."""
    weights = stage_weights(job, staging)
    family = stage_family(job, staging, weights)
    checked = check_family(job, staging.family, family)
    manifest = publish_family(job, staging, weights, family, checked)
    with writing(staging.path):
        staging.remove()
    notes = ("an interrupted export of another plan was discarded",) if staging.discarded else ()
    if family.copied:
        notes = (*notes, f"the file system has no hard links here: {family.copied} files are copies")
    return ExportResult(folder=job.target, manifest=manifest, up_to_date=False, resumed=weights.resumed, notes=notes)
