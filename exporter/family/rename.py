"""The renames that make a staged family visible: in one step, also in place of another one."""

import ctypes
import errno
import os
from pathlib import Path

from runtime.documents.atomic_file import sync_folder

_RENAME_EXCHANGE = 2


_AT_FDCWD = -100


# What `exchange` appends to the name of the staged folder while the old one waits beside it.
REPLACED = ".old"


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
