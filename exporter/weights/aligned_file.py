"""Page-aligned buffers and files written or read past the page cache where the file system allows it."""

import ctypes
import errno
import fcntl
import mmap
import os
from pathlib import Path

_DIRECT = getattr(os, "O_DIRECT", 0)
_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_memcmp.restype = ctypes.c_int


class AlignedBuffer:
    """`size` bytes of anonymous memory that begin at a page boundary, as unbuffered input and output asks for."""

    def __init__(self, size: int) -> None:
        """Reserve `size` bytes, rounded up to whole pages."""
        self._memory = mmap.mmap(-1, max(size + -size % mmap.PAGESIZE, mmap.PAGESIZE))
        self.view = memoryview(self._memory)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))

    def same(self, other: "AlignedBuffer", begin: int, end: int) -> bool:
        """Whether [begin, end) of both buffers holds the same bytes. Runs without the interpreter lock."""
        return bool(_memcmp(self._address + begin, other._address + begin, end - begin) == 0)

    def difference(self, other: "AlignedBuffer", begin: int, end: int) -> tuple[int, int] | None:
        """The first and one past the last position in [begin, end) where the two differ; None when they do not."""
        if self.same(other, begin, end):
            return None
        low, high = begin, end
        while high - low > 1:  # the first difference is in [low, high)
            middle = (low + high) // 2
            low, high = (middle, high) if self.same(other, low, middle) else (low, middle)
        first = low
        low, high = first, end
        while high - low > 1:  # the last difference is in [low, high)
            middle = (low + high) // 2
            low, high = (low, middle) if self.same(other, middle, high) else (middle, high)
        return first, low + 1


def open_unbuffered(path: Path, flags: int) -> int:
    """Open `path` past the page cache, or through it where the file system refuses that. Returns the descriptor; raises
    OSError."""
    try:
        return os.open(path, flags | _DIRECT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno != errno.EINVAL or not _DIRECT:
            raise
    return os.open(path, flags | os.O_CLOEXEC, 0o666)


def write_at(descriptor: int, view: memoryview, offset: int) -> None:
    """Write all of `view` at `offset`; view, length and offset are multiples of the page size. Raises OSError."""
    while len(view):
        try:
            written = os.pwrite(descriptor, view, offset)
        except OSError as error:
            if error.errno != errno.EINVAL or not _through_cache(descriptor):
                raise
            continue
        view, offset = view[written:], offset + written


def read_at(descriptor: int, view: memoryview, offset: int) -> int:
    """Fill `view` from `offset` on; fewer bytes only at the end of the file. Returns the number of bytes; raises
    OSError."""
    done = 0
    while done < len(view):
        try:
            count = os.preadv(descriptor, [view[done:]], offset + done)
        except OSError as error:
            if error.errno != errno.EINVAL or not _through_cache(descriptor):
                raise
            continue
        if count == 0:
            break
        done += count
        if count % mmap.PAGESIZE:  # the last page of the file: an unaligned read past the cache would be refused
            break
    return done


def _through_cache(descriptor: int) -> bool:
    """Switch a descriptor to the page cache; False when it already goes through it."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if not flags & _DIRECT:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~_DIRECT)
    return True
