"""How much room a target has, and what the system says of a path as errors that name it, the bytes needed and free."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import TargetError

# The file system's own needs: folders, journal, blocks that are not full.
SPACE_MARGIN_BYTES = 16 * 1024 * 1024


_SPACE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_space(folder: Path, needed_bytes: int) -> None:
    """Raise TargetError when the file system of `folder` has less than `needed_bytes` and a margin free for this
    user."""
    free = free_bytes(folder)
    if free < needed_bytes + SPACE_MARGIN_BYTES:
        raise TargetError(
            f"{folder}: not enough space: {needed_bytes + SPACE_MARGIN_BYTES:,} bytes needed, {free:,} free"
        )


def free_bytes(folder: Path) -> int:
    """The bytes that this user may still write on the file system of `folder`."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def target_error(error: OSError, folder: Path, needed_bytes: int | None = None) -> TargetError:
    """A system error of writing below `folder` as a TargetError: path, reason, and for a full disk what is needed and
    free."""
    path = error.filename if isinstance(error.filename, str) else str(folder)
    reason = (
        _used_up(error.errno, folder, needed_bytes)
        if error.errno in _SPACE_ERRORS
        else f"cannot be written: {error.strerror or error}"
    )
    return TargetError(f"{path}: {reason}")


def _used_up(code: int, folder: Path, needed_bytes: int | None) -> str:
    """What stopped a write below `folder`: a limit of the file size, a quota, the files that the file system can hold,
    or its bytes."""
    if code == errno.EFBIG:
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        return "the file size limit is reached" + (
            "" if limit == resource.RLIM_INFINITY else f": {limit:,} bytes (ulimit -f)"
        )
    needed = "" if needed_bytes is None else f": {needed_bytes:,} bytes needed"
    if code == errno.EDQUOT:
        return f"the disk quota is used up{needed}"
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    status = os.statvfs(place)
    if status.f_files and not status.f_favail:
        return f"no inodes left: the file system holds {status.f_files:,} files and folders at most; remove some there"
    if needed_bytes is None:
        return "no space left"
    free = free_bytes(place)
    return f"no space left{needed}, " + (
        f"{free:,} free" if free < needed_bytes else f"although the file system counts {free:,} as free"
    )


@contextmanager
def looking_at(path: Path) -> Iterator[None]:
    """System errors of finding out what stands at `path` become TargetError naming it: no permission, a name too long,
    a loop of links."""
    try:
        yield
    except OSError as error:
        raise TargetError(f"{path}: cannot be read: {error.strerror or error}") from error


@contextmanager
def writing(folder: Path, needed_bytes: int | None = None) -> Iterator[None]:
    """System errors inside become TargetError naming the path and, when the disk is full, the bytes needed and free."""
    try:
        yield
    except OSError as error:
        raise target_error(error, folder, needed_bytes) from error
