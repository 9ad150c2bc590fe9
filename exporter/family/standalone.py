"""Copy one variant out of a family as a checkpoint folder of its own, comparing every file with its recorded digest on
the way."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from exporter.family.staging import Staging
from exporter.family.target_folder import check_space, check_target, looking_at, make_parent, publish, writing
from exporter.weights.file_copy import copy_file
from exporter.weights.pipeline import Pipeline, make_pipeline
from runtime.documents.atomic_file import sync_folder
from runtime.documents.manifest import FileRecord, Manifest
from runtime.errors import TargetError, VerificationError
from runtime.text.progress import Progress


def export_standalone(family: Path, manifest: Manifest, variant_id: str, target: Path, *, progress: Progress) -> int:
    """Write the variant's folder to `target`, a missing or empty folder, in one visible step, as real files. Returns
    their bytes.

    The file system's clones are used where it has them. Raises DocumentError for an id the family does not have,
    TargetError, and VerificationError naming a file that is not what the manifest records.
    """
    folder = manifest.variant(variant_id).folder
    records = tuple(record for record in manifest.files if record.path.startswith(f"{folder}/"))
    check_target(target, family)
    with looking_at(target):
        taken = target.exists() and any(target.iterdir())
    if taken:
        raise TargetError(f"{target}: exists and is not empty; give a new folder")
    make_parent(target)
    total = sum(record.size for record in records)
    try:
        with Staging(target) as staging, writing(staging.path, total), ThreadPoolExecutor(1) as pool:
            staging.resume(f"standalone {variant_id}")
            check_space(staging.family, total)
            progress.begin("copying", total)
            pipeline = make_pipeline(pool)
            for record in records:
                path = staging.family / record.path.removeprefix(f"{folder}/")
                path.parent.mkdir(parents=True, exist_ok=True)
                _copy(family, record, path, pipeline, progress)
            sync_folder(staging.family)
            publish(staging.family, target)
            staging.remove()
    finally:
        progress.end()
    return total


def _copy(family: Path, record: FileRecord, path: Path, pipeline: Pipeline, progress: Progress) -> None:
    source = family / record.path
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise VerificationError(f"{source}: listed in the manifest but cannot be read: {error.strerror}") from error
    try:
        written = copy_file(descriptor, path, pipeline, progress.advance)
    finally:
        os.close(descriptor)
    if (written.size, written.sha256) != (record.size, record.sha256):
        raise VerificationError(
            f"{source}: not the file the manifest records; `trimoe verify {family}` names the bytes that differ"
        )
