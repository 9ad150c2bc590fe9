"""The folder an export will appear as: whether it may be written, how much room there is, and the renames that publish
it."""

import ctypes
import errno
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.documents.atomic_file import sync_folder
from runtime.documents.family_layout import MANIFEST, STANDALONE, TENSORS
from runtime.errors import TargetError

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
# What `exchange` appends to the name of the staged folder while the old one waits beside it.
REPLACED = ".old"
# The file system's own needs: folders, journal, blocks that are not full.
SPACE_MARGIN_BYTES = 16 * 1024 * 1024
_SPACE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_target(target: Path, source: Path | None) -> None:
    """Raise TargetError unless `target` may become a folder: apart from `source`, no link, file or mount, and not below
    a file, a dead link, a family or a variant that was copied out of one.

    What an existing folder holds is not looked at. Missing parent folders are created later, in `make_parent`.
    """
    with looking_at(target):
        _check_kind(target)
        if source is not None:
            _check_apart(target, source)
        _check_outside_families(target)


def check_new_folder(target: Path, source: Path | None) -> None:
    """Like `check_target`, for what replaces nothing: raise TargetError also for a folder that is not empty."""
    check_target(target, source)
    with looking_at(target):
        taken = target.exists() and any(target.iterdir())
    if taken:
        raise TargetError(f"{target}: exists and is not empty; give a new folder")


def _check_kind(target: Path) -> None:
    if target.is_symlink():
        raise TargetError(f"{target}: a symbolic link to {target.readlink()}; give that folder itself")
    if target.exists() and not target.is_dir():
        raise TargetError(f"{target}: exists and is not a folder")
    if target.name in ("", ".."):
        raise TargetError(f"{target}: not a folder that can be created or replaced; give a new name inside it")
    if target.is_dir() and target.is_mount():
        raise TargetError(f"{target}: a mount point, which cannot be replaced in one step; give a folder inside it")
    for parent in target.parents:
        if parent.is_dir():
            break
        if parent.exists() or parent.is_symlink():
            kind = "a file" if parent.exists() else f"a symbolic link to {parent.readlink()}, which is not there"
            raise TargetError(f"{parent}: {kind}, so {target} cannot be created")


def _check_apart(target: Path, source: Path) -> None:
    real_target, real_source = Path(os.path.realpath(target)), Path(os.path.realpath(source))
    if real_target == real_source:
        raise TargetError(f"{target}: the same folder as the source")
    if real_target.is_relative_to(real_source):
        raise TargetError(f"{target}: inside the source {source}, which is never written to")
    if real_source.is_relative_to(real_target):
        raise TargetError(f"{target}: contains the source {source}, which is never replaced")


def _check_outside_families(target: Path) -> None:
    """Whatever is added to a finished family makes it one that its manifest does not describe."""
    for parent in Path(os.path.realpath(target)).parents:
        for place, what in ((parent, "the family"), (parent / STANDALONE, "the standalone variant")):
            if (place / MANIFEST).is_file() and (place / TENSORS).is_file():
                raise TargetError(f"{target}: inside {what} {parent}, which nothing is added to; give a folder outside")


def make_parent(target: Path) -> None:
    """Create the missing parent folders of `target`, like mkdir -p, and check that files can be created beside it.
    Raises TargetError."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise target_error(error, target.parent) from error
    if not os.access(target.parent, os.W_OK | os.X_OK):
        read_only = os.statvfs(target.parent).f_flag & os.ST_RDONLY
        raise TargetError(
            f"{target.parent}: {'a read-only file system' if read_only else 'not writable for this user'}"
        )


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


def publish(staged: Path, target: Path) -> None:
    """Rename the folder `staged` to `target`, which is missing or empty; both are on one file system. Raises
    OSError."""
    staged.rename(target)
    sync_folder(target.parent)


def exchange(staged: Path, target: Path) -> None:
    """Put `staged` in the place of the folder `target`; afterwards `staged` is the old one. One step where the system
    has it. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    renameat2 = getattr(libc, "renameat2", None)
    if renameat2 is not None:
        if renameat2(_AT_FDCWD, os.fsencode(staged), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE) == 0:
            sync_folder(target.parent)
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(code, os.strerror(code), str(target))
    aside = staged.with_name(staged.name + REPLACED)
    target.rename(aside)
    try:
        staged.rename(target)
    except OSError:
        aside.rename(target)
        raise
    aside.rename(staged)
    sync_folder(target.parent)


def remove_tree(path: Path) -> None:
    """Delete a file or a folder with all it holds; a missing one is fine. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def writing(folder: Path, needed_bytes: int | None = None) -> Iterator[None]:
    """System errors inside become TargetError naming the path and, when the disk is full, the bytes needed and free."""
    try:
        yield
    except OSError as error:
        raise target_error(error, folder, needed_bytes) from error
