"""Files that a reader sees whole or not at all, also after a crash."""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one, also after a crash. Raises
    OSError.

    What a killed process leaves, `.<name>.part`, is taken over by the next that writes the same file; writers of one
    file take turns.
    """
    temporary = path.with_name(f".{path.name}.part")
    with open_alone(temporary) as stream:
        try:
            stream.truncate(0)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(path)  # a full disk is noticed by calls that know no name
            raise
    sync_folder(path.parent)


def open_alone(path: Path) -> BinaryIO:
    """The file at `path`, made when missing, to append to, which nobody else has until it is closed: waits for that.
    Raises OSError."""
    while True:
        stream = path.open("ab")
        fcntl.flock(stream, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
        except FileNotFoundError:
            pass  # the one that held it has renamed it meanwhile
        stream.close()


def sync_folder(folder: Path) -> None:
    """Make the entries of `folder` durable (fsync of the directory). Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
