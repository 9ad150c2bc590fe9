"""Check that each variant folder is the model the manifest says: config, code, index, shards, and which source block
each layer is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from exporter.architectures.architecture import Architecture
from exporter.architectures.find import manifest_architecture
from exporter.checkpoint.safetensors_header import read_header
from exporter.family.records import SYNTHETIC_KEY
from exporter.plan.config_edit import LIST_KEY
from runtime.documents.checked_json import Node, read_bytes, read_document
from runtime.documents.family_layout import CONFIG, INDEX, MANIFEST, VARIANTS, variant_folder
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.documents.tensor_digests import ShardDigests, read_tensor_digests
from runtime.errors import CheckpointError, DocumentError, VerificationError


def check_variants(folder: Path, manifest: Manifest, variants: Sequence[VariantRecord]) -> str:
    """Check the folders of `variants`; returns a sentence. Raises VerificationError naming the file and the key or
    tensor that is wrong."""
    architecture = manifest_architecture(manifest)
    try:
        shards = {shard.sha256: shard for shard in read_tensor_digests(folder)}
        digests = {record.path: record.sha256 for record in manifest.files}
        files = {path: shards[digest] for path, digest in digests.items() if digest in shards}
        _check_folders(folder, manifest)
        for variant in variants:
            _check_config(folder / variant.folder, manifest, architecture, variant)
            _check_tensors(folder, architecture, variant, files)
        _check_bytes(folder, manifest, variants, files)
    except (DocumentError, CheckpointError) as error:
        raise VerificationError(str(error)) from error
    return f"{len(variants)} variant{'' if len(variants) == 1 else 's'}: config, index, tensors and source blocks agree"


def _check_folders(folder: Path, manifest: Manifest) -> None:
    listed = {variant.folder for variant in manifest.variants}
    for path in sorted((folder / VARIANTS).glob("*")):
        if variant_folder(path.name) not in listed:
            raise VerificationError(f"{path}: no variant that the manifest lists")


def _check_bytes(
    folder: Path, manifest: Manifest, variants: Sequence[VariantRecord], files: Mapping[str, ShardDigests]
) -> None:
    """Compare the sizes that the manifest states of variants with those of their tensors."""
    used = {
        v.id: [shard for path, shard in files.items() if path.startswith(f"{v.folder}/")] for v in manifest.variants
    }
    users = Counter(shard.path for shards in used.values() for shard in shards)
    for variant in variants:
        sizes = {shard.path: sum(tensor.end - tensor.begin for tensor in shard.tensors) for shard in used[variant.id]}
        found = (sum(sizes.values()), sum(size for path, size in sizes.items() if users[path] > 1))
        for key, stated, counted in zip(
            ("bytes", "shared_bytes"), (variant.bytes, variant.shared_bytes), found, strict=True
        ):
            if stated != counted:
                raise VerificationError(
                    f"{folder / MANIFEST}: variant {variant.id}: {key} is {stated}, its tensors have {counted}"
                )


def _check_config(folder: Path, manifest: Manifest, architecture: Architecture, variant: VariantRecord) -> None:
    config = read_document(folder / CONFIG)
    own = architecture.has_own_type(variant.top_k, manifest.source.top_k)
    _expect(config, architecture.config.depth_key, len(variant.layers))
    _expect(config, "model_type", architecture.own_type.model_type if own else architecture.model_type)
    _expect(config, "auto_map", dict(architecture.own_type.auto_map) if own else None)
    if architecture.config.top_k_key is not None:
        _expect(config, architecture.config.top_k_key, manifest.source.top_k)
    synthetic = config.get(SYNTHETIC_KEY)
    if (synthetic is not None and synthetic.value is True) != manifest.source.synthetic:
        raise VerificationError(
            f"{config.file}: {SYNTHETIC_KEY}: the manifest says synthetic is {manifest.source.synthetic}"
        )
    mixed = variant.top_k is not None and any(k != manifest.source.top_k for k in variant.top_k)
    _expect(config, LIST_KEY, list(variant.top_k) if mixed and variant.top_k is not None else None)
    for key in architecture.config.layer_list_keys:
        entries = config.get(key)
        if entries is not None and entries.value is not None and len(entries.elements()) != len(variant.layers):
            entries.fail(f"{len(entries.elements())} entries for {len(variant.layers)} layers")


def _expect(config: Node, key: str, wanted: object) -> None:
    node = config.get(key)
    found = None if node is None else node.value
    if found != wanted or isinstance(found, bool) != isinstance(wanted, bool):
        raise VerificationError(f"{config.file}: {key} is {found!r}, the manifest implies {wanted!r}")


def _check_tensors(
    folder: Path, architecture: Architecture, variant: VariantRecord, shards: Mapping[str, ShardDigests]
) -> None:
    """Compare index, headers and tensors.json: every layer holds exactly the tensors of its source block, under its own
    index."""
    place = folder / variant.folder
    weight_map = {name: node.string() for name, node in read_document(place / INDEX).require("weight_map").items()}
    found: dict[str, str] = {}
    sources: dict[str, str] = {}
    for path in sorted(place.glob("*.safetensors")):
        shard = shards.get(f"{variant.folder}/{path.name}")
        if shard is None:
            raise VerificationError(f"{path}: tensors.json does not know this file")
        records, _, _ = read_header(path)
        if sorted((r.name, r.begin, r.end) for r in records) != sorted((t.name, t.begin, t.end) for t in shard.tensors):
            raise VerificationError(
                f"{path}: the header does not list the tensors that tensors.json records for {shard.path}"
            )
        for tensor in shard.tensors:
            if tensor.name in found:
                raise VerificationError(f"{path}: tensor {tensor.name} is also in {found[tensor.name]}")
            found[tensor.name], sources[tensor.name] = path.name, tensor.source
    for name in sorted(weight_map.keys() | found.keys()):
        if weight_map.get(name) != found.get(name):
            says, has = weight_map.get(name, "no file"), found.get(name, "no file")
            raise VerificationError(f"{place / INDEX}: tensor {name} is in {has}, the index says {says}")
    _check_blocks(place, architecture, variant, sources)


def _check_blocks(place: Path, architecture: Architecture, variant: VariantRecord, sources: Mapping[str, str]) -> None:
    layers: set[int] = set()
    for name, source in sources.items():
        here, there = architecture.split_name(name), architecture.split_name(source)
        if here is None or there is None:
            if name != source:
                raise VerificationError(f"{place}: tensor {name} was cut from {source}")
            continue
        layers.add(here[0])
        if here[0] >= len(variant.layers):
            raise VerificationError(
                f"{place}: tensor {name} belongs to layer {here[0]}, the variant has {len(variant.layers)} layers"
            )
        if there != (variant.layers[here[0]], here[1]):
            raise VerificationError(
                f"{place}: tensor {name} was cut from {source}, but layer {here[0]} is source block "
                f"{variant.layers[here[0]]}"
            )
    if len(layers) != len(variant.layers):
        raise VerificationError(f"{place}: no tensors of layer {min(set(range(len(variant.layers))) - layers)}")


def check_code(folder: Path, manifest: Manifest, variants: Sequence[VariantRecord], *, version: str) -> tuple[str, str]:
    """Compare the modeling files that travel with variants with the package's; returns outcome and detail.

    Raises VerificationError when a file differs although the same version of trimoe wrote it, or a folder holds other
    code. Files of another version that are as recorded are "skipped": they cannot be compared, so nothing of theirs may
    be run.
    """
    architecture = manifest_architecture(manifest)
    package = resources.files("runtime.modeling")
    count = 0
    for variant in variants:
        place = folder / variant.folder
        wanted = architecture.modeling_files(variant.top_k, manifest.source.top_k)
        present = {path.name for path in place.rglob("*.py")}
        if present != set(wanted):
            raise VerificationError(f"{place}: Python files {sorted(present)}, expected are {sorted(wanted)}")
        for name in wanted:
            count += 1
            if read_bytes(place / name) != (package / name).read_bytes():
                if manifest.trimoe != version:
                    return (
                        "skipped",
                        f"{place / name}: written by trimoe {manifest.trimoe}, differs "
                        f"from that of this trimoe, {version}",
                    )
                raise VerificationError(f"{place / name}: not the modeling file of trimoe {version}")
    return "passed", f"{count} modeling files equal to this trimoe's" if count else "no variant needs code of its own"
