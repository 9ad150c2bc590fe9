"""Compare the contents of a family with the digests of its manifest, and name the first file, tensor and bytes that are
not as recorded."""

import hashlib
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runtime.documents.family_layout import MANIFEST
from runtime.documents.manifest import FileRecord
from runtime.documents.tensor_digests import ShardDigests, read_tensor_digests
from runtime.errors import DocumentError, VerificationError
from runtime.text.counted import counted
from runtime.text.sizes import show_bytes

CHUNK_BYTES = 1 << 20


THREADS = 2


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
