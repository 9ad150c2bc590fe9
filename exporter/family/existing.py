"""What already stands at an export's target: nothing, this very family, another family, or something that is not
ours."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from exporter.checkpoint.reader import SourceReader
from exporter.family.disk_space import looking_at
from exporter.family.records import source_record, variant_record
from exporter.family.variant_folder import variant_index
from exporter.plan.plan import Plan
from exporter.weights.pipeline import Pipeline
from exporter.weights.shard_layout import group_by_data
from exporter.weights.shard_writer import digest_tensors
from runtime.documents.checked_json import as_json, dump_document
from runtime.documents.family_layout import CONFIG, GRAPHS, INDEX, MANIFEST, WEIGHTS, auxiliary_path, variant_folder
from runtime.documents.manifest import Manifest, read_manifest
from runtime.documents.tensor_digests import read_tensor_digests
from runtime.errors import DocumentError, TargetError


def read_existing(target: Path) -> Manifest | None:
    """The manifest of the family at `target`; None when `target` is missing or an empty folder.

    Raises TargetError when something else stands there: a folder that is no family, or a family whose manifest cannot
    be read.
    """
    with looking_at(target):
        names = {entry.name for entry in target.iterdir()} if target.exists() else set()
    if not names:
        return None
    if MANIFEST not in names:
        first = min(names)
        raise TargetError(
            f"{target}: holds {first!r} and no {MANIFEST}: not a family, so it is not replaced; give a new or "
            "empty folder"
        )
    try:
        return read_manifest(target)
    except DocumentError as error:
        raise TargetError(
            f"{target}: holds a family that cannot be read, so it is not replaced ({error}); move it away"
        ) from error


def check_replaceable(target: Path, manifest: Manifest) -> None:
    """Raise TargetError when `target` holds files that its manifest does not list: replacing the family would lose
    them."""
    listed = {record.path for record in manifest.files} | {MANIFEST}
    for path in sorted(target.rglob("*")):
        name = path.relative_to(target).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name not in listed:
            raise TargetError(
                f"{target}: {name} does not belong to the family there and would be lost; move it away first"
            )


def same_plan(manifest: Manifest, plan: Plan, auxiliary: Mapping[str, bytes]) -> bool:
    """Whether the manifest describes exactly the family of `plan`, as far as headers and auxiliary files say."""
    if manifest.source != source_record(plan) or manifest.choice != plan.choice:
        return False
    recorded = tuple(replace(variant, golden=None, checks=()) for variant in manifest.variants)
    if recorded != tuple(variant_record(variant, golden=None, checks=()) for variant in plan.variants):
        return False
    digests = {record.path: record.sha256 for record in manifest.files}
    if {path for path in digests if path.startswith(f"{WEIGHTS}/")} != {shard.path for shard in plan.shards}:
        return False
    return all(
        digests.get(path) == hashlib.sha256(data).hexdigest() for path, data in _expected_files(plan, auxiliary).items()
    )


def _expected_files(plan: Plan, auxiliary: Mapping[str, bytes]) -> dict[str, bytes]:
    names = {shard.path: tuple(tensor.name for tensor in shard.tensors) for shard in plan.shards}
    expected = {auxiliary_path(name): data for name, data in auxiliary.items()}
    for variant in plan.variants:
        expected[f"{variant_folder(variant.id)}/{CONFIG}"] = dump_document(as_json(variant.config))
        expected[f"{variant_folder(variant.id)}/{INDEX}"] = variant_index(variant, names)
    return expected


def graph_types(manifest: Manifest) -> tuple[str, ...]:
    """The types of weights the family has ONNX graphs in, sorted: the folders under onnx/."""
    return tuple(
        sorted({record.path.split("/")[1] for record in manifest.files if record.path.startswith(f"{GRAPHS}/")})
    )


def damaged_file(target: Path, manifest: Manifest) -> str | None:
    """The first listed file that is missing or has another size than recorded, with what is wrong; None when all are
    there."""
    for record in manifest.files:
        try:
            size = (target / record.path).stat().st_size
        except OSError as error:
            return f"{record.path}: {error.strerror or error}"
        if size != record.size:
            return f"{record.path}: {size} bytes, {record.size} recorded"
    return None


def same_tensors(
    target: Path, plan: Plan, reader: SourceReader, pipeline: Pipeline, advance: Callable[[int], None]
) -> bool:
    """Whether every source tensor still has the digest that the family at `target` recorded for it. Reads the source
    once."""
    recorded = {tensor.source: tensor.sha256 for shard in read_tensor_digests(target) for tensor in shard.tensors}
    for group in group_by_data(plan.shards):
        tensors = [tensor.source for tensor in group[0].tensors]
        digests = digest_tensors(tensors, reader, pipeline, advance=advance)
        if any(recorded.get(tensor.name) != digest for tensor, digest in zip(tensors, digests, strict=True)):
            return False
    reader.check()
    return True
