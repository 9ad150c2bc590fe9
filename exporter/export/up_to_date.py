"""The stage before any writing: whether the target holds this very family already, and may give way if not."""

from exporter.export.job import ExportJob, ExportResult
from exporter.family.disk_space import writing
from exporter.family.existing import (
    check_replaceable,
    damaged_file,
    graph_types,
    read_existing,
    same_plan,
    same_tensors,
)
from exporter.family.staging import Staging, staging_path
from exporter.weights.shard_layout import data_bytes, group_by_data
from runtime.documents.manifest import Manifest
from runtime.errors import TargetError


def find_existing(job: ExportJob) -> ExportResult | None:
    """The result when the target holds this family already; None when it has to be written. Raises TargetError
    otherwise."""
    manifest = read_existing(job.target)
    if manifest is None:
        return None
    if job.replace:
        check_replaceable(job.target, manifest)
        return None
    reason = _difference(job, manifest)
    if reason is not None:
        raise TargetError(f"{job.target}: holds {reason}")
    if staging_path(job.target).is_dir():  # left by an export that was killed between publishing and cleaning up
        with writing(job.target.parent), Staging(job.target) as staging:
            staging.remove()
    return ExportResult(folder=job.target, manifest=manifest, up_to_date=True, resumed=0, notes=())


def _difference(job: ExportJob, manifest: Manifest) -> str | None:
    """What the family at the target is instead of the one asked for, and what to do; None when it is that one."""
    if not same_plan(manifest, job.plan, job.auxiliary):
        return "a family of another plan or source; give --replace to export this one in its place"
    there, asked = graph_types(manifest), _asked_types(job)
    if there != asked:
        found, wanted = (", ".join(names) or "none" for names in (there, asked))
        return f"this family with ONNX graphs: {found}; asked for: {wanted}; give --replace to export it so"
    damage = damaged_file(job.target, manifest)
    if damage is not None:
        return f"this family, but damaged ({damage}); give --replace to export it again"
    if job.logits is not None and any(variant.golden is None for variant in manifest.variants):
        return "this family, exported without logit check; give --no-logits, or --replace to check it too"
    unique = sum(data_bytes(group[0]) for group in group_by_data(job.plan.shards))
    job.progress.begin("comparing source", unique)
    if not same_tensors(job.target, job.plan, job.reader, job.pipeline, job.progress.advance):
        return "a family cut from other weights; give --replace to export this one in its place"
    return None


def _asked_types(job: ExportJob) -> tuple[str, ...]:
    return () if job.plan.graphs is None else tuple(sorted(job.plan.graphs.precisions))
