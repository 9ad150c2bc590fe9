"""A prepared form that is there: graphs of the family that point at packed weights."""

from dataclasses import dataclass
from pathlib import Path

from runtime.engines.prepared.document import PreparedDocument
from runtime.engines.prepared.packed_tensors import with_packed
from runtime.errors import VerificationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The prepared form in `folder`."""

    folder: Path
    document: PreparedDocument

    def graph(self, path: Path) -> bytes:
        """A graph over the family's data file, a decoder or any other, whose tensors are in `folder` with what was
        packed of them. Raises VerificationError for a file that cannot be read or is no graph."""
        try:
            model = path.read_bytes()
        except OSError as error:
            raise VerificationError(f"{path}: {error.strerror}") from error
        return with_packed(model, self.document.tensors)
