"""The last stage: the manifest, which says that everything is verified, and the rename that shows the family."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

from exporter.export.job import ExportJob
from exporter.export.staged_family import StagedFamily
from exporter.export.staged_weights import StagedWeights
from exporter.export.verified_family import CheckedVariant
from exporter.family.disk_space import writing
from exporter.family.existing import check_replaceable, read_existing
from exporter.family.records import source_record, variant_record
from exporter.family.rename import exchange, publish
from exporter.family.source_guard import check_auxiliary_files
from exporter.family.staging import Staging
from exporter.family.variant_folder import FamilyFiles
from exporter.plan.plan import PlannedVariant
from runtime.documents.atomic_file import sync_folder, write_atomically
from runtime.documents.check import Check
from runtime.documents.family_layout import GOLDEN, MANIFEST, TENSORS
from runtime.documents.manifest import FileRecord, Manifest, VariantRecord, dump_manifest
from runtime.documents.tensor_digests import dump_tensor_digests


def publish_family(
    job: ExportJob,
    staging: Staging,
    weights: StagedWeights,
    family: StagedFamily,
    checked: Mapping[str, CheckedVariant],
) -> Manifest:
    """Write tensors.json and manifest.json, make everything durable, and put the family at its target in one step.

    Raises TargetError, SourceChangedError.
    """
    job.progress.begin("publishing", 0)
    check_auxiliary_files(job.plan, job.auxiliary)
    with writing(staging.family, weights.needed_bytes):
        added = _add_documents(job, staging.family, weights)
        manifest = Manifest(
            trimoe=importlib.metadata.version("trimoe"),
            source=source_record(job.plan),
            choice=job.plan.choice,
            variants=_variants(job, checked),
            files=tuple(sorted((*family.files, *added), key=lambda record: record.path)),
        )
        for path in sorted(staging.family.rglob("*")):
            if path.is_dir():
                sync_folder(path)
        write_atomically(staging.family / MANIFEST, dump_manifest(manifest))
        _rename(job, staging)
    return manifest


def _add_documents(job: ExportJob, folder: Path, weights: StagedWeights) -> tuple[FileRecord, ...]:
    """Write tensors.json; its record and those of the golden files."""
    files = FamilyFiles(folder)
    files.write(TENSORS, dump_tensor_digests(tuple(weights.finished[shard.path] for shard in job.plan.shards)))
    for path in sorted((folder / GOLDEN).rglob("*")):
        if path.is_file():
            files.add_existing(path.relative_to(folder).as_posix())
    return files.records()


def _variants(job: ExportJob, checked: Mapping[str, CheckedVariant]) -> tuple[VariantRecord, ...]:
    tensors = {shard.path: len(shard.tensors) for shard in job.plan.shards}
    return tuple(
        variant_record(
            variant,
            golden=checked[variant.id].golden,
            checks=(*_copied(variant, sum(tensors[path] for path in variant.shards)), *checked[variant.id].checks),
        )
        for variant in job.plan.variants
    )


def _copied(variant: PlannedVariant, tensors: int) -> tuple[Check, Check]:
    """The checks that every variant has passed when its family is staged."""
    structure = f"{tensors} tensors in {len(variant.shards)} files, config and index as planned"
    equal = f"{tensors} tensors, {variant.bytes} bytes equal to the source's"
    return (
        Check(name="structure", outcome="passed", detail=structure),
        Check(name="bytes", outcome="passed", detail=equal),
    )


def _rename(job: ExportJob, staging: Staging) -> None:
    present = read_existing(job.target)
    if present is not None and job.replace:
        check_replaceable(job.target, present)
        staging.forget()  # from here on the staged folder may be the old family
        exchange(staging.family, job.target)
    else:
        publish(staging.family, job.target)
