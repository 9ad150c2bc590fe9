"""Complete variant folders of a family: config, index, hard links to shards, and the small files that travel with each
variant."""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from exporter.checkpoint.checkpoint import INDEX
from exporter.plan.config_edit import edit_carried
from exporter.plan.plan import Plan, PlannedVariant
from runtime.documents.checked_json import as_json, dump_document, read_bytes
from runtime.documents.manifest import FileRecord
from runtime.documents.tensor_digests import ShardDigests

_FICLONE = 0x40049409
_NO_LINK = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.ENOSYS, errno.EACCES)
_NO_CLONE = (errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY)


def small_files(plan: Plan) -> dict[str, bytes]:
    """The files stored once under carried/ and linked into variants, by name: tokenizer and processor files, and
    modeling files.

    Raises DocumentError when a carried file cannot be read or edited.
    """
    files = {
        name: edit_carried(plan.architecture, name, read_bytes(plan.checkpoint.folder / name))
        for name in plan.checkpoint.auxiliary
    }
    modeling = resources.files("runtime.modeling")
    for variant in plan.variants:
        for name in variant.modeling_files:
            files[name] = (modeling / name).read_bytes()
    return files


def travels_with(name: str, plan: Plan, variant: PlannedVariant) -> bool:
    """Whether the small file `name` belongs to the variant's folder: every carried file, and the modeling files the
    variant names."""
    return name in plan.checkpoint.auxiliary or name in variant.modeling_files


class FamilyFiles:
    """Writes the files of a family below one folder and keeps the record of each, for the manifest. All methods raise
    OSError."""

    def __init__(self, folder: Path) -> None:
        """Files go below `folder`."""
        self._folder = folder
        self._records: dict[str, FileRecord] = {}
        self._first: dict[str, str] = {}
        self.copied = 0

    def add_shard(self, shard: ShardDigests) -> None:
        """Record a shard that is already there."""
        self._records[shard.path] = FileRecord(path=shard.path, size=shard.size, sha256=shard.sha256, link_of=None)

    def add_existing(self, path: str) -> None:
        """Record a small file that is already there; it is read for its digest."""
        with (self._folder / path).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self._records[path] = FileRecord(
            path=path, size=(self._folder / path).stat().st_size, sha256=digest, link_of=None
        )

    def write(self, path: str, data: bytes) -> None:
        """Write a small file, or link it to an earlier one of the same content."""
        digest = hashlib.sha256(data).hexdigest()
        if digest in self._first:
            self.link(self._first[digest], path)
            return
        full = self._folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        with full.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        self._first[digest] = path
        self._records[path] = FileRecord(path=path, size=len(data), sha256=digest, link_of=None)

    def link(self, path: str, name: str) -> None:
        """Give the recorded file `path` a second name: a hard link, else a clone of the file system, else a copy
        (counted in `copied`)."""
        full = self._folder / name
        full.parent.mkdir(parents=True, exist_ok=True)
        linked = link_or_copy(self._folder / path, full)
        self.copied += not linked
        record = self._records[path]
        self._records[name] = FileRecord(
            path=name, size=record.size, sha256=record.sha256, link_of=path if linked else None
        )

    def records(self) -> tuple[FileRecord, ...]:
        """The record of every file, sorted by path."""
        return tuple(self._records[path] for path in sorted(self._records))


def link_or_copy(path: Path, name: Path) -> bool:
    """Hard-link `path` as `name`; False when the file system cannot and the bytes were cloned or copied instead. Raises
    OSError."""
    try:
        os.link(path, name)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
    else:
        return True
    if not clone(path, name):
        shutil.copyfile(path, name)
    with name.open("rb") as stream:
        os.fsync(stream.fileno())
    return False


def clone(path: Path, name: Path) -> bool:
    """Make `name` share the blocks of `path` where the file system can; False, leaving an empty or no file, where it
    cannot."""
    with path.open("rb") as source, name.open("wb") as target:
        try:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        except OSError as error:
            if error.errno not in _NO_CLONE:
                raise
            return False
    return True


def can_link(folder: Path) -> bool:
    """Whether the file system of `folder` makes hard links. Raises OSError when not even a file can be created."""
    probe, second = folder / ".link-probe", folder / ".link-probe-2"
    try:
        probe.touch()
        try:
            os.link(probe, second)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return False
        return True
    finally:
        second.unlink(missing_ok=True)
        probe.unlink(missing_ok=True)


def write_variants(files: FamilyFiles, plan: Plan, small: Mapping[str, bytes]) -> None:
    """Write carried/ (`small`, see `small_files`) and the folder of every variant; the plan's shards are already
    recorded in `files`."""
    for name, data in sorted(small.items()):
        files.write(f"carried/{name}", data)
    names = {shard.path: tuple(tensor.name for tensor in shard.tensors) for shard in plan.shards}
    for variant in plan.variants:
        folder = f"variants/{variant.id}"
        files.write(f"{folder}/config.json", dump_document(as_json(variant.config)))
        files.write(f"{folder}/{INDEX}", variant_index(variant, names))
        for number, path in enumerate(variant.shards, start=1):
            files.link(path, f"{folder}/{shard_name(number, len(variant.shards))}")
        for name in sorted(small):
            if travels_with(name, plan, variant):
                files.link(f"carried/{name}", f"{folder}/{name}")


def shard_name(number: int, count: int) -> str:
    """The name of a variant's shard, 1-based, as checkpoint loaders expect it."""
    return f"model-{number:05d}-of-{count:05d}.safetensors"


def variant_index(variant: PlannedVariant, names: dict[str, tuple[str, ...]]) -> bytes:
    """The bytes of model.safetensors.index.json; `names` are the tensor names of each shard path."""
    weight_map = {
        name: shard_name(number, len(variant.shards))
        for number, path in enumerate(variant.shards, start=1)
        for name in names[path]
    }
    return dump_document({"metadata": {"total_size": variant.bytes}, "weight_map": dict(sorted(weight_map.items()))})
