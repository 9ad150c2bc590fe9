"""The staging folder of an export: one writer at a time, a journal of finished shards, and what a resumed export may
reuse."""

import contextlib
import fcntl
import hashlib
import logging
import os
import stat
from collections.abc import Set
from pathlib import Path, PurePosixPath
from types import TracebackType

from exporter.family.disk_space import target_error
from exporter.family.rename import REPLACED
from exporter.family.target_folder import remove_tree
from runtime.documents.atomic_file import sync_folder
from runtime.documents.checked_json import parse_document
from runtime.documents.tensor_digests import ShardDigests, dump_shard, read_shard
from runtime.errors import DocumentError, TargetError

logger = logging.getLogger(__name__)

_LOCK = "lock"
_JOURNAL = "journal.jsonl"
_FAMILY = "family"
# What an own staging folder can hold; nothing else is ever deleted.
_OWN = frozenset((_LOCK, _JOURNAL, f"{_JOURNAL}.new", _FAMILY, f"{_FAMILY}{REPLACED}"))
_CHECK_DIGITS = 16


def staging_path(target: Path) -> Path:
    """The staging folder of `target`, beside it and so on the same file system."""
    return target.parent / f".{target.name}.staging"


class Staging:
    """The locked staging folder of one target.

    staging/lock            flock'ed while an export runs; holds its process id for the other's error message
    staging/journal.jsonl   first line: the identity of the plan; then one line for each finished shard, each behind its
    own checksum staging/family/         what becomes the target

    A killed export leaves all of it; the next one with the same identity keeps the shards that the journal lists
    (`kept`); what belongs to another plan is `discarded`. Use as a context manager: leaving it releases the lock and
    keeps the files, unless an error ended an export before its first shard was finished. A folder that no export made
    is refused and left as it is.
    """

    def __init__(self, target: Path) -> None:
        """Name the folder; nothing is touched yet."""
        self._target = target
        self.path = staging_path(target)
        self.family = self.path / _FAMILY
        self.discarded = False
        self.kept: frozenset[str] = frozenset()
        self._finished = 0
        self._lock = -1
        self._journal = -1

    def __enter__(self) -> "Staging":
        """Create and lock the folder. Raises TargetError when another export holds it, when it is not ours, or it
        cannot be written."""
        try:
            while self._lock < 0:
                self._check_own()
                self._try_lock()
            self._restore_replaced()
        except OSError as error:
            self._close()
            raise target_error(error, self.path) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._finished == 0:
            with contextlib.suppress(OSError):
                self.remove()
        elif error is not None and self.path.is_dir():
            error.add_note(
                f"{self._finished} finished files stay in {self.path}: run the same command again to resume, or "
                "delete that folder"
            )
        self._close()

    def _close(self) -> None:
        for descriptor in (self._journal, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._journal = self._lock = -1

    def _check_own(self) -> None:
        """Raise TargetError when something stands at the staging folder's name that no export put there."""
        try:
            if not stat.S_ISDIR(self.path.lstat().st_mode):
                raise TargetError(
                    f"{self.path}: stands where an export keeps its unfinished files "
                    "and is not a folder; move it away first"
                )
            names = {entry.name for entry in self.path.iterdir()}
            locked = _LOCK in names and stat.S_ISREG((self.path / _LOCK).lstat().st_mode)
        except FileNotFoundError:
            return  # nothing there, or its holder is just removing it
        # Every export makes the lock first and deletes it last.
        foreign = names - _OWN or (set() if locked else names)
        if foreign:
            raise TargetError(
                f"{self.path}: holds {min(foreign)!r}, which no export put there, so it is not used or emptied; "
                "move it away first"
            )

    def _restore_replaced(self) -> None:
        """Put the old family back that an export took aside before it was killed, where the new one did not come in its
        place."""
        aside = self.family.with_name(f"{_FAMILY}{REPLACED}")
        if aside.is_dir() and not os.path.lexists(self._target):
            logger.warning("%s: an interrupted export had taken it aside; it is back", self._target)
            aside.rename(self._target)
            sync_folder(self._target.parent)

    def _try_lock(self) -> None:
        """Take the lock; leaves it untaken, to be tried again, when its holder removed the folder at that moment."""
        self.path.mkdir(exist_ok=True)
        try:
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_file(descriptor, self.path / _LOCK):
                self._lock, descriptor = descriptor, -1
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise TargetError(
                f"{self._target}: another export to it is running (process {holder or 'unknown'})"
            ) from error
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if self._lock >= 0:
            with contextlib.suppress(
                OSError
            ):  # on a full disk the lock holds all the same, it only does not say whose it is
                os.ftruncate(self._lock, 0)
                os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def resume(self, identity: str) -> dict[str, ShardDigests]:
        """Prepare `family/` for the plan of that identity: shards an earlier run finished, by path; everything else
        there is removed.

        Another plan's leftovers are removed whole; `discarded` then says so. Raises OSError.
        """
        path = self.path / _JOURNAL
        lines = _good_lines(path)
        kept: dict[str, ShardDigests] = {}
        if lines and lines[0] == identity:
            records = [_parse(line, path) for line in lines[1:]]
            kept = {r.path: r for r in records if r is not None and _has_size(self.family / r.path, r.size)}
        else:
            self.discarded = path.exists()
        self.kept = frozenset(kept)
        self._finished = len(kept)
        self._clear(kept)
        self.family.mkdir(exist_ok=True)
        self._start_journal(path, [identity, *(dump_shard(record) for record in kept.values())])
        return kept

    def record(self, shard: ShardDigests) -> None:
        """Note a finished shard, durably. Raises OSError."""
        _append(self._journal, dump_shard(shard))
        os.fsync(self._journal)
        self._finished += 1

    def forget(self) -> None:
        """Drop the journal, so that what `family/` holds from now on is never taken for finished shards. Raises
        OSError."""
        (self.path / _JOURNAL).unlink(missing_ok=True)
        sync_folder(self.path)

    def remove(self) -> None:
        """Delete the staging folder, the lock last. Raises OSError."""
        for name in sorted(_OWN - {_LOCK}):
            remove_tree(self.path / name)
        (self.path / _LOCK).unlink(missing_ok=True)
        self.path.rmdir()

    def _clear(self, kept: dict[str, ShardDigests]) -> None:
        for name in sorted(_OWN - {_LOCK, _JOURNAL, _FAMILY}):
            remove_tree(self.path / name)
        if not self.family.is_dir():
            return
        folders = {parent.as_posix() for path in kept for parent in PurePosixPath(path).parents}
        _remove_others(self.family, "", kept.keys() | folders)

    def _start_journal(self, path: Path, lines: list[str]) -> None:
        fresh = path.with_name(path.name + ".new")
        self._journal = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666)
        for line in lines:
            _append(self._journal, line)
        os.fsync(self._journal)
        fresh.rename(path)
        sync_folder(self.path)


def _remove_others(folder: Path, prefix: str, kept: Set[str]) -> None:
    """Remove everything below `folder`, whose own path is `prefix`, but the paths in `kept`."""
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if path not in kept:
            remove_tree(entry)
        elif entry.is_dir():
            _remove_others(entry, f"{path}/", kept)


def _append(descriptor: int, text: str) -> None:
    data = text.encode("utf-8")
    line = memoryview(hashlib.sha256(data).hexdigest()[:_CHECK_DIGITS].encode() + b" " + data + b"\n")
    while line:
        line = line[os.write(descriptor, line) :]


def _good_lines(path: Path) -> list[str]:
    """The lines up to the first whose checksum fails: a killed export may have written half a line."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = []
    for raw in data.split(b"\n"):
        check, _, text = raw.partition(b" ")
        if not text or hashlib.sha256(text).hexdigest()[:_CHECK_DIGITS].encode() != check:
            break
        lines.append(text.decode("utf-8"))
    return lines


def _parse(line: str, path: Path) -> ShardDigests | None:
    try:
        return read_shard(parse_document(line.encode("utf-8"), file=str(path)))
    except DocumentError:
        logger.warning("%s: an entry of another layout is ignored", path)
        return None


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
