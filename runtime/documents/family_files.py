"""Where the files of a family stand: as its manifest says, or in a variant that was copied out of it.

COPY/                what stands in the variant's folder: it loads like any checkpoint
COPY/onnx/<type>/    its graph in that type, those it needs before it, and their data file
COPY/trimoe/         what verifies it: the manifest of a family of this variant alone, with paths as in a family,
                     tensors.json of its weights, its golden inputs and outputs
"""

import os
from pathlib import Path, PurePosixPath

from runtime.documents.family_layout import GRAPHS, MANIFEST, STANDALONE, VARIANTS
from runtime.documents.manifest import Manifest, read_manifest


class FamilyFiles:
    """The files of the family, or of the standalone copy of a variant, in `folder`."""

    def __init__(self, folder: Path) -> None:
        """Look which of the two it is."""
        self.folder, self._standalone = folder, is_standalone(folder)

    def manifest(self) -> Manifest:
        """What the family, or the copy, states of itself. Raises DocumentError as `read_manifest` does."""
        return read_manifest(self.folder / STANDALONE if self._standalone else self.folder)

    def place(self, path: str) -> Path:
        """Where what a manifest calls `path` stands: a file, or a folder of a variant or of graphs."""
        return self.folder / (place_in_copy(path) if self._standalone else path)


def is_standalone(folder: Path) -> bool:
    """Whether the folder is a variant that was copied out of a family; not where the system refuses the question."""
    return os.path.lexists(folder / STANDALONE / MANIFEST) and not os.path.lexists(folder / MANIFEST)


def place_in_copy(path: str) -> str:
    """Where the family's file or folder `path` stands in the copy of the variant that it belongs to."""
    first, *inside = PurePosixPath(path).parts
    if first == VARIANTS:
        return PurePosixPath(*inside[1:]).as_posix()
    return path if first == GRAPHS else f"{STANDALONE}/{path}"
