"""Where prepared forms are kept: a folder each, there whole or not at all, which may be removed at any time."""

import hashlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.documents.atomic_file import open_alone, sync_folder, write_atomically
from runtime.engines.machine import cache_folder
from runtime.engines.prepared.document import DOCUMENT, Origin, PreparedDocument, dump_prepared, read_prepared
from runtime.engines.prepared.prepared import Prepared
from runtime.engines.trust import CheckRecords
from runtime.errors import DocumentError, VerificationError

_log = logging.getLogger(__name__)

_LOCK = ".lock"  # held while something is made or removed
_STAGING = ".staging"  # what is made, and what is being removed; nobody looks there


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedForms:
    """The prepared forms in a folder (None: among the user's caches), which processes and families may share."""

    folder: Path | None = None

    @property
    def place(self) -> Path:
        """The folder."""
        return cache_folder() / "prepared" if self.folder is None else self.folder

    def find(self, origin: Origin, records: CheckRecords | None = None) -> Prepared | None:
        """The prepared form of that very origin, when it is there and its file has its digest, which is not computed
        where `records` say that it had it on this machine before."""
        folder = self.place / origin.name
        try:
            document = read_prepared(folder / DOCUMENT)
            _check(folder, document, origin, records)
        except FileNotFoundError:
            return None
        except (OSError, DocumentError, VerificationError) as error:
            if folder.exists():
                _log.warning("%s is not used: %s", folder, error)
            return None
        return Prepared(folder=folder, document=document)

    def make(
        self, origin: Origin, build: Callable[[Path], PreparedDocument], records: CheckRecords | None = None
    ) -> Prepared:
        """The prepared form of that origin: found, or else built, in one visible step. `build` fills an empty folder
        and says what it is.

        One process at a time makes something; what a killed one left is removed. Raises OSError, and what `build`
        raises.
        """
        self.place.mkdir(parents=True, exist_ok=True)
        with open_alone(self.place / _LOCK):
            found = self.find(origin, records)
            if found is not None:
                return found
            self._discard(self.place / origin.name)
            staging = self._staging(origin.name)
            try:
                staging.mkdir(parents=True)
                document = build(staging)
                write_atomically(staging / DOCUMENT, dump_prepared(document))
                sync_folder(staging)
                folder = staging.rename(self.place / origin.name)
            finally:
                shutil.rmtree(self.place / _STAGING, ignore_errors=True)
            sync_folder(self.place)
        return Prepared(folder=folder, document=document)

    def remove(self, data: str) -> int:
        """Remove all prepared forms of the data file with that digest, of whatever machine; how many bytes that gave
        back. Who has one in use keeps it. Raises OSError."""
        if not self.place.is_dir():
            return 0
        removed = 0
        with open_alone(self.place / _LOCK):
            for path in sorted(self.place.glob(f"*/{DOCUMENT}")):
                try:
                    document = read_prepared(path)
                except DocumentError:
                    continue
                if document.origin.data == data:
                    self._discard(path.parent)
                    removed += document.weights.size
        return removed

    def _staging(self, name: str) -> Path:
        """A place for what is not to be seen, with nothing in it; whoever asks has the lock."""
        shutil.rmtree(self.place / _STAGING, ignore_errors=True)
        return self.place / _STAGING / name

    def _discard(self, folder: Path) -> None:
        """Remove the folder, if there is one, in one visible step."""
        if folder.exists():
            hidden = self._staging(folder.name)
            hidden.parent.mkdir()
            folder.rename(hidden)
            shutil.rmtree(hidden.parent)


def _check(folder: Path, document: PreparedDocument, origin: Origin, records: CheckRecords | None) -> None:
    """That it is the one meant, and its weights are what they were. Raises VerificationError, OSError."""
    if document.origin != origin:
        raise VerificationError(f"{folder / DOCUMENT} is of another origin than its folder's name")
    path, wanted = folder / document.weights.path, document.weights
    stat = path.stat()
    if stat.st_size != wanted.size:
        raise VerificationError(f"{path} has {stat.st_size} bytes, {DOCUMENT} has {wanted.size}")
    state = {"sha256": wanted.sha256, "file": [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]}
    if records is not None and records.holds(str(path.absolute()), state):
        return
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != wanted.sha256:
        raise VerificationError(f"{path}: its sha256 is {found}, {DOCUMENT} has {wanted.sha256}")
    if records is not None:
        records.write(str(path.absolute()), state)
