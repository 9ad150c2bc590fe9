"""Check variant folders against the plan: config, index, and exactly the planned tensors with their dtypes and
shapes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from exporter.checkpoint.safetensors_header import read_header
from exporter.plan.plan import Plan, PlannedShard, PlannedVariant
from runtime.documents.checked_json import as_json, read_document
from runtime.documents.family_layout import CONFIG, INDEX, variant_folder
from runtime.errors import CheckpointError, DocumentError, VerificationError

Kind = tuple[str, tuple[int, ...]]


class HeaderCache:
    """Headers read from disk, one time for each file however many names it has."""

    def __init__(self) -> None:
        """Start empty."""
        self._kinds: dict[tuple[int, int], Mapping[str, Kind]] = {}

    def kinds(self, path: Path) -> Mapping[str, Kind]:
        """Dtype and shape by tensor name. Raises VerificationError when the file is not valid safetensors."""
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        if key not in self._kinds:
            try:
                records, _, _ = read_header(path)
            except CheckpointError as error:
                raise VerificationError(str(error)) from error
            self._kinds[key] = {record.name: (record.dtype, record.shape) for record in records}
        return self._kinds[key]


def check_structure(folder: Path, plan: Plan) -> None:
    """Check every variant folder below `folder`. Raises VerificationError naming the file and the tensor or key that is
    not as planned."""
    cache = HeaderCache()
    shards = {shard.path: shard for shard in plan.shards}
    for variant in plan.variants:
        _check_variant(folder / variant_folder(variant.id), variant, [shards[path] for path in variant.shards], cache)


def _check_variant(folder: Path, variant: PlannedVariant, shards: Sequence[PlannedShard], cache: HeaderCache) -> None:
    try:
        config = read_document(folder / CONFIG).value
        weight_map = {key: node.string() for key, node in read_document(folder / INDEX).require("weight_map").items()}
    except DocumentError as error:
        raise VerificationError(str(error)) from error
    if config != as_json(variant.config):
        raise VerificationError(f"{folder / CONFIG}: not the planned config")
    planned: dict[str, Kind] = {
        tensor.name: (tensor.source.dtype, tensor.source.shape) for shard in shards for tensor in shard.tensors
    }
    found = _collect(folder, cache)
    for name in sorted(planned.keys() ^ found.keys()):
        raise VerificationError(f"{folder}: tensor {name} is {'missing' if name in planned else 'not planned'}")
    if weight_map != found:
        name = next(n for n in sorted(weight_map.keys() | found.keys()) if weight_map.get(n) != found.get(n))
        raise VerificationError(
            f"{folder / INDEX}: {name} is in {found.get(name, 'no file')}, the index says "
            f"{weight_map.get(name, 'nothing')}"
        )
    for name, (dtype, shape) in planned.items():
        kind = cache.kinds(folder / found[name])[name]
        if kind != (dtype, shape):
            raise VerificationError(
                f"{folder / found[name]}: tensor {name} is {kind[0]} {list(kind[1])}, planned {dtype} {list(shape)}"
            )


def _collect(folder: Path, cache: HeaderCache) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name in cache.kinds(path):
            if name in found:
                raise VerificationError(f"{path}: tensor {name} is also in {found[name]}")
            found[name] = path.name
    return found
