"""Check that a family holds exactly the files its manifest lists, and name the first file, tensor and bytes that are
not as recorded."""

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from runtime.documents.family_layout import MANIFEST
from runtime.documents.manifest import FileRecord, Manifest, read_manifest
from runtime.documents.tensor_digests import ShardDigests, read_tensor_digests
from runtime.errors import DocumentError, VerificationError
from runtime.text.counted import counted
from runtime.text.sizes import show_bytes

CHUNK_BYTES = 1 << 20
THREADS = 2


def open_family(folder: Path) -> Manifest:
    """Read the manifest of a family. Raises VerificationError saying what the folder is instead when it has none, or
    what is wrong in it."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are wanted
    except FileNotFoundError as error:
        raise VerificationError(f"{folder}: no such folder") from error
    except NotADirectoryError as error:
        raise VerificationError(f"{folder}: not a folder") from error
    except OSError as error:
        raise VerificationError(f"{folder}: cannot be read: {error.strerror}") from error
    if MANIFEST not in names:
        raise VerificationError(f"{folder}: no {MANIFEST}: {_what_it_is(names)}")
    try:
        return read_manifest(folder)
    except DocumentError as error:
        raise VerificationError(str(error)) from error


def _what_it_is(names: Sequence[str]) -> str:
    if "config.json" in names:
        return "a single model, not a family; verify the family it was taken from"
    if set(names) & {"weights", "variants", "golden", "carried", "tensors.json"}:
        return "an unfinished copy of a family, or one whose manifest was lost; copy or export it again"
    return "not a family that trimoe exported"


def selected_records(manifest: Manifest, variants: Sequence[str]) -> tuple[FileRecord, ...]:
    """The records that concern the given variants (all when empty): their folders and what these link to, golden files,
    family files."""
    if not variants:
        return manifest.files
    others = {variant.id: f"{variant.folder}/" for variant in manifest.variants if variant.id not in variants}
    golden = {variant.golden for variant in manifest.variants if variant.id in others}
    kept = [
        record
        for record in manifest.files
        if not record.path.startswith(tuple(others.values())) and record.path not in golden
    ]
    own = tuple(f"{manifest.variant(variant).folder}/" for variant in variants)
    used = {record.sha256 for record in kept if record.path.startswith(own)}
    return tuple(
        record
        for record in kept
        if not record.path.startswith(("weights/", "carried/", "onnx/")) or record.sha256 in used
    )


def check_listing(folder: Path, manifest: Manifest, records: Sequence[FileRecord]) -> str:
    """Compare the files of the folder with the manifest's; returns a sentence. Raises VerificationError naming missing
    and extra files."""
    listed = {record.path for record in manifest.files} | {MANIFEST}
    present, empty = _walk(folder)
    missing = [record.path for record in records if record.path not in present]
    if missing:
        raise VerificationError(
            f"{len(missing)} of {len(records)} files missing, first {missing[0]}: copied in part, or files were deleted"
        )
    extra = sorted(present - listed)
    if extra:
        raise VerificationError(f"{counted(len(extra), 'file')} that {MANIFEST} does not list, first {extra[0]}")
    needed = {parent.as_posix() for path in listed for parent in PurePosixPath(path).parents}
    added = sorted(empty - needed)
    if added:
        raise VerificationError(
            f"{counted(len(added), 'empty folder')} that {MANIFEST} does not list, first {added[0]}"
        )
    apart = _unlinked(folder, records)
    copies = (
        f"; {len(apart)} are copies where links were, {show_bytes(sum(record.size for record in apart))} more"
        if apart
        else ""
    )
    return f"{counted(len(records), 'file')}, none missing, none extra{copies}"


def _walk(folder: Path) -> tuple[set[str], set[str]]:
    """The files (links to folders among them) and the empty folders below `folder`. Raises VerificationError for one
    that cannot be read."""
    present, empty = set(), set()
    for root, folders, files in os.walk(folder, onerror=_refuse):
        place = Path(root)
        links = [name for name in folders if (place / name).is_symlink()]
        present |= {(place / name).relative_to(folder).as_posix() for name in (*files, *links)}
        if not folders and not files:
            empty.add(place.relative_to(folder).as_posix())
    return present, empty


def _refuse(error: OSError) -> None:
    raise VerificationError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _unlinked(folder: Path, records: Sequence[FileRecord]) -> list[FileRecord]:
    """The records whose hard link has become a file of its own."""
    return [r for r in records if r.link_of is not None and not _same_file(folder / r.path, folder / r.link_of)]


def _same_file(first: Path, second: Path) -> bool:
    return first.exists() and second.exists() and first.samefile(second)


def check_contents(folder: Path, records: Sequence[FileRecord], progress: Callable[[int], None]) -> str:
    """Compare size and sha256 of every file with the manifest; returns a sentence. Each inode is read once, by two
    threads.

    Raises VerificationError for the first file that differs (by its own name rather than that of a link), naming the
    tensor and its bytes, or the header's.
    """
    inodes: dict[tuple[int, int], FileRecord] = {}
    owners = []
    for record in sorted(records, key=lambda r: (r.link_of is not None, r.path)):
        status = (folder / record.path).lstat()
        if not stat.S_ISREG(status.st_mode):
            raise VerificationError(f"{folder / record.path}: not a regular file")
        if status.st_size != record.size:
            raise VerificationError(
                f"{folder / record.path}: {status.st_size} bytes, {record.size} "
                f"recorded{_cut(folder, record, status.st_size)}"
            )
        owner = inodes.setdefault((status.st_dev, status.st_ino), record)
        if owner.sha256 != record.sha256:
            raise VerificationError(
                f"{folder / record.path}: is one file with {owner.path}, but the manifest records different contents"
            )
        if owner is record:
            owners.append(record)
    with ThreadPoolExecutor(THREADS) as pool:
        digests = list(pool.map(lambda record: file_sha256(folder / record.path, progress), owners))
    wrong = [record for record, digest in zip(owners, digests, strict=True) if digest != record.sha256]
    if wrong:
        others = f" ({counted(len(wrong) - 1, 'more file')} differ)" if len(wrong) > 1 else ""
        raise VerificationError(f"{folder / wrong[0].path}: {_where(folder, wrong[0])}{others}")
    return f"{show_bytes(sum(record.size for record in owners))} in {counted(len(owners), 'file')} as recorded"


def file_sha256(path: Path, progress: Callable[[int], None]) -> str:
    """The sha256 of a file. Raises VerificationError when it cannot be read."""
    return range_sha256(path, 0, None, progress)


def range_sha256(path: Path, begin: int, end: int | None, progress: Callable[[int], None]) -> str:
    """The sha256 of bytes `begin`–`end` of a file (None: to its end). Raises VerificationError when they cannot be
    read."""
    hasher = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    try:
        with path.open("rb", buffering=0) as stream:
            stream.seek(begin)
            position = begin
            while end is None or position < end:
                count = stream.readinto(buffer if end is None else buffer[: min(CHUNK_BYTES, end - position)])
                if not count:
                    break
                hasher.update(buffer[:count])
                position += count
                progress(count)
    except OSError as error:
        raise VerificationError(f"{path}: cannot be read: {error.strerror or error}") from error
    return hasher.hexdigest()


def _shard_of(folder: Path, record: FileRecord) -> ShardDigests | None:
    """The recorded tensors of a weight file, found by its digest; None for other files or when tensors.json is damaged
    as well."""
    try:
        return next((shard for shard in read_tensor_digests(folder) if shard.sha256 == record.sha256), None)
    except DocumentError:
        return None


def _cut(folder: Path, record: FileRecord, size: int) -> str:
    shard = _shard_of(folder, record)
    tensor = None if shard is None else shard.tensor_at(size)
    return "" if tensor is None else f": cut inside tensor {tensor.name} (bytes {tensor.begin}–{tensor.end})"


def _where(folder: Path, record: FileRecord) -> str:
    """Which part of a file of the right size is not what was recorded."""
    shard = _shard_of(folder, record)
    if shard is None or not shard.tensors:
        return f"not what {MANIFEST} records (its sha256 differs)"
    wrong = [
        t for t in shard.tensors if range_sha256(folder / record.path, t.begin, t.end, lambda _count: None) != t.sha256
    ]
    if not wrong:
        return f"the header (bytes 0–{shard.tensors[0].begin}) is not what was written"
    others = f" and {counted(len(wrong) - 1, 'more tensor')}" if len(wrong) > 1 else ""
    return f"tensor {wrong[0].name} (bytes {wrong[0].begin}–{wrong[0].end}){others} differs from what was written"
