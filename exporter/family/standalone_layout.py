"""What a variant that is copied out of its family (runtime/documents/family_files.py) takes along. Pure."""

from pathlib import PurePosixPath

from msgspec.structs import replace

from runtime.documents.family_files import place_in_copy
from runtime.documents.family_layout import (
    EMBEDDINGS,
    GOLDEN_INPUTS,
    GRAPH_INPUTS,
    STANDALONE,
    VISION,
    graph_data_path,
    graph_golden_path,
    graph_path,
)
from runtime.documents.manifest import FileRecord, Manifest, VariantRecord


def copied_files(manifest: Manifest, variant: VariantRecord, precisions: tuple[str, ...]) -> tuple[FileRecord, ...]:
    """The family's files that a copy of the variant holds, with its graphs in these types."""
    wanted = {path for precision in precisions for path in _graph_files(precision, variant.id)}
    if variant.golden is not None:
        wanted |= {variant.golden, GOLDEN_INPUTS}
    inside = f"{variant.folder}/"
    return tuple(record for record in manifest.files if record.path in wanted or record.path.startswith(inside))


def _graph_files(precision: str, variant: str) -> tuple[str, ...]:
    graphs = tuple(graph_path(precision, name) for name in (variant, VISION, EMBEDDINGS))
    golden = tuple(graph_golden_path(precision, name) for name in (variant, GRAPH_INPUTS))
    return (*graphs, graph_data_path(precision), *golden)


def copy_manifest(
    manifest: Manifest, variant: VariantRecord, files: tuple[FileRecord, ...], precisions: tuple[str, ...]
) -> Manifest:
    """The manifest of a family of this variant alone: nothing is shared, and checks of graphs that stay are left
    out."""
    kept = tuple(f"onnx {precision} " for precision in precisions)
    checks = tuple(
        check for check in variant.checks if not check.name.startswith("onnx ") or check.name.startswith(kept)
    )
    alone = replace(variant, shared_bytes=0, checks=checks)
    own = (replace(record, link_of=None) for record in files)
    return replace(manifest, variants=(alone,), files=tuple(sorted(own, key=lambda record: record.path)))


def seen_from_trimoe(manifest: Manifest) -> Manifest:
    """The manifest of a copy with the paths that hold in COPY/trimoe, so that what checks a family checks a copy."""
    (variant,) = manifest.variants
    files = tuple(replace(record, path=_from_trimoe(place_in_copy(record.path))) for record in manifest.files)
    return replace(manifest, variants=(replace(variant, folder=".."),), files=files)


def _from_trimoe(path: str) -> str:
    inside = PurePosixPath(path)
    return inside.relative_to(STANDALONE).as_posix() if inside.is_relative_to(STANDALONE) else f"../{path}"
