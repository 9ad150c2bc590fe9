"""What files must pass before the first answer on this machine, their digests and the self-test, and records of what
passed: with them a later process need not do it again."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock

from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import as_json, dump_document
from runtime.documents.family_files import FamilyFiles
from runtime.documents.manifest import FileRecord, Manifest
from runtime.engines.machine import cache_folder, processors
from runtime.errors import VerificationError

_log = logging.getLogger(__name__)


class CheckRecords:
    """Records of passed checks in a folder, one file each; processes may share it. A folder that cannot be written or
    read only costs the check."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` None: among the user's caches."""
        self._folder = (cache_folder() if folder is None else folder) / "checks"

    def holds(self, what: str, state: Mapping[str, object]) -> bool:
        """Whether a check of `what` passed in the very same state."""
        try:
            return self._path(what).read_bytes() == _content(what, state)
        except OSError:
            return False

    def write(self, what: str, state: Mapping[str, object]) -> None:
        """Record that a check of `what` passed; an earlier record of it is replaced."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path(what), _content(what, state))
        except OSError as error:
            _log.info("%s: no record of the check: %s", self._folder, error)

    def _path(self, what: str) -> Path:
        return self._folder / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.json"


def _content(what: str, state: Mapping[str, object]) -> bytes:
    return dump_document(as_json({"what": what, **state}))


class Checks:
    """The checks of one family's files by one engine; may be used by several threads."""

    def __init__(
        self, folder: Path, manifest: Manifest, *, software: Mapping[str, str], records: CheckRecords | None
    ) -> None:
        """`software`: names and versions of what the self-test depends on. `records` None: check, keep no record."""
        self._folder, self._software, self._records = folder, software, records
        self._place = FamilyFiles(folder).place
        self._files = {record.path: record for record in manifest.files}
        self._verified: set[tuple[object, ...]] = set()
        self._verifying = Lock()

    def run(self, paths: Sequence[str], test: Callable[[], None], *, form: str = "") -> None:
        """Compare those of the files at `paths`, relative to the family, that the manifest lists with their digests,
        and call `test`; neither where a record says that both passed with the same files (by digest, size, times and
        inode), software and processor, in the same `form`. A file whose record says that it is what its digest says is
        not read again for another test. Raises VerificationError for a file that is missing or differs, and what `test`
        raises."""
        files = [self._files[path] for path in paths if path in self._files]
        what = json.dumps([str(self._folder.resolve()), *paths])
        state = {
            "files": [(record.sha256, *self._stand(record)) for record in files],
            "software": dict(self._software),
            "processors": processors(),
            "form": form,
        }
        if self._records is not None and self._records.holds(what, state):
            return
        for record in files:
            self._verify(record)
        test()
        if self._records is not None:
            self._records.write(what, state)

    def _stand(self, record: FileRecord) -> tuple[int, int, int, int]:
        """Size, times and inode of a file: who writes to it can set back the time of the last write, but not that of
        the last change."""
        try:
            stat = self._place(record.path).stat()
        except OSError as error:
            raise VerificationError(f"{self._place(record.path)}: {error.strerror}") from error
        return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino

    def _verify(self, record: FileRecord) -> None:
        """Read a file, once under all its names, and compare it with its digest."""
        path, content = self._place(record.path), (record.sha256, *self._stand(record))
        what, state = str(path.resolve()), {"file": content}
        with self._verifying:
            if content in self._verified or (self._records is not None and self._records.holds(what, state)):
                return
            try:
                with path.open("rb") as stream:
                    found = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                raise VerificationError(f"{path}: {error.strerror}") from error
            if found != record.sha256:
                raise VerificationError(f"{path}: its sha256 is {found}, the manifest has {record.sha256}")
            self._verified.add(content)
            if self._records is not None:
                self._records.write(what, state)
