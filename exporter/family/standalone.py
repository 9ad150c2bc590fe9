"""Copy one variant out of a family as a checkpoint folder of its own that can be verified, comparing every file with
its recorded digest on the way."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from exporter.family.disk_space import check_space, writing
from exporter.family.existing import graph_types
from exporter.family.rename import publish
from exporter.family.staging import Staging
from exporter.family.standalone_layout import copied_files, copy_manifest
from exporter.family.target_folder import check_new_folder, make_parent
from exporter.weights.file_copy import copy_file
from exporter.weights.pipeline import Pipeline, make_pipeline
from runtime.documents.atomic_file import sync_folder, write_atomically
from runtime.documents.family_files import place_in_copy
from runtime.documents.family_layout import MANIFEST, STANDALONE, TENSORS
from runtime.documents.manifest import FileRecord, Manifest, VariantRecord, dump_manifest
from runtime.documents.tensor_digests import dump_tensor_digests, read_tensor_digests
from runtime.errors import DocumentError, VerificationError
from runtime.text.progress import Progress


def copy_variant(
    family: Path,
    manifest: Manifest,
    variant_id: str,
    target: Path,
    *,
    precisions: tuple[str, ...] = (),
    progress: Progress,
) -> int:
    """Write the variant to `target`, a missing or empty folder, in one visible step, as real files (see
    runtime.documents.family_files). Returns the bytes copied.

    With `precisions` its graphs in these types come along, each with the data file of the whole family as it is: every
    file then is the one whose digest was recorded and whose answers were checked at export, while a data file without
    the blocks that this variant lacks would need other graphs. The folders of onnxruntime-genai stay: all but a config
    in them are second names of other files.

    The file system's clones are used where it has them. Raises DocumentError for an id or a type that the family does
    not have, TargetError, and VerificationError naming a file that is not what the manifest records.
    """
    variant = manifest.variant(variant_id)
    _check_types(family, manifest, precisions)
    check_new_folder(target, family)
    records = copied_files(manifest, variant, precisions)
    make_parent(target)
    total = sum(record.size for record in records)
    try:
        with Staging(target) as staging, writing(staging.path, total):
            staging.resume(f"standalone {variant_id}")
            check_space(staging.family, total)
            progress.begin("copying", total)
            _copy_files(family, staging.family, variant, records, progress)
            tensors = _write_digests(family, staging.family, records)
            alone = copy_manifest(manifest, variant, (*records, tensors), precisions)
            write_atomically(staging.family / STANDALONE / MANIFEST, dump_manifest(alone))
            _sync_folders(staging.family)
            publish(staging.family, target)
            staging.remove()
    finally:
        progress.end()
    return total


def _copy_files(
    family: Path, copy: Path, variant: VariantRecord, records: Sequence[FileRecord], progress: Progress
) -> None:
    with ThreadPoolExecutor(1) as pool:
        pipeline = make_pipeline(pool)
        for record in records:
            _copy(family, record, copy / place_in_copy(record.path), pipeline, progress)


def _check_types(family: Path, manifest: Manifest, precisions: Sequence[str]) -> None:
    present = graph_types(manifest)
    for name in precisions:
        if name not in present:
            found = ", ".join(present) or "none"
            raise DocumentError(f"{family}: no ONNX graphs in {name}; it has {found}")


def _copy(family: Path, record: FileRecord, path: Path, pipeline: Pipeline, progress: Progress) -> None:
    source = family / record.path
    path.parent.mkdir(parents=True, exist_ok=True)
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


def _write_digests(family: Path, copy: Path, records: Sequence[FileRecord]) -> FileRecord:
    """Write tensors.json of the copy: what the family's says of the weights that are there. Returns its record."""
    present = {record.sha256 for record in records}
    try:
        shards = tuple(shard for shard in read_tensor_digests(family) if shard.sha256 in present)
    except DocumentError as error:
        raise VerificationError(str(error)) from error
    data = dump_tensor_digests(shards)
    (copy / STANDALONE).mkdir(exist_ok=True)
    write_atomically(copy / STANDALONE / TENSORS, data)
    return FileRecord(path=TENSORS, size=len(data), sha256=hashlib.sha256(data).hexdigest(), link_of=None)


def _sync_folders(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
