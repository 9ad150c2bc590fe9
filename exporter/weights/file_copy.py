"""Copy a file, digesting it on the way; where the file system makes clones, it is only digested."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from exporter.weights.aligned_file import AlignedBuffer, read_at
from exporter.weights.pipeline import Pipeline
from exporter.weights.weights_file import WeightsFile, WrittenFile

# ioctl_ficlone(2); the errors are those of file systems that make no clones, or none of these two files.
_FICLONE = 0x40049409
_NO_CLONE = (errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY)


def copy_file(source: int, target: Path, pipeline: Pipeline, advance: Callable[[int], None]) -> WrittenFile:
    """Make `target` a durable file of its own with the bytes of the open file `source`; returns size and digest of what
    was read.

    `advance` is called with the bytes read. Raises OSError.
    """
    size = os.fstat(source).st_size
    if clone(source, target):
        digest = hashlib.sha256()
        _read_through(source, size, pipeline, lambda count, buffer: digest.update(buffer.view[:count]), advance)
        return WrittenFile(size=size, sha256=digest.hexdigest())
    with WeightsFile(target, AlignedBuffer(0)) as file:
        _read_through(source, size, pipeline, lambda count, buffer: file.write_pages(buffer.view, count), advance)
        return file.finish()


def _read_through(
    source: int,
    size: int,
    pipeline: Pipeline,
    task: Callable[[int, AlignedBuffer], None],
    advance: Callable[[int], None],
) -> None:
    """Hand the bytes of the open file to `task`, a number of them at a time."""
    position = 0

    def fill(count: int, buffer: AlignedBuffer) -> None:
        nonlocal position
        found = read_at(source, buffer.view[:count], position)
        if found != count:
            raise OSError(errno.EIO, f"ends at byte {position + found}: it was cut while it was read")
        position += count

    step = pipeline.chunk_bytes
    pipeline.run((min(step, size - begin) for begin in range(0, size, step)), fill, (task,), advance)


def clone(source: int, name: Path) -> bool:
    """Make `name` share the blocks of the open file `source` where the file system can; False, leaving an empty or no
    file, where it cannot. Raises OSError."""
    with name.open("wb") as target:
        try:
            fcntl.ioctl(target.fileno(), _FICLONE, source)
        except OSError as error:
            if error.errno not in _NO_CLONE:
                raise
            return False
        os.fsync(target.fileno())
    return True
