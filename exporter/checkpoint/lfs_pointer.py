"""Git LFS pointers: what a clone made without git-lfs has in the place of large files.

Format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from pathlib import Path

from runtime.errors import CheckpointError

BEGINNING = b"version https://git-lfs.github.com/spec/"


def refuse_pointer(path: Path, beginning: bytes) -> None:
    """Raise CheckpointError when the file's first bytes are those of a pointer."""
    if beginning.startswith(BEGINNING):
        raise CheckpointError(
            f"{path}: a Git LFS pointer, not the file itself; run `git lfs pull` in the folder, or download it again"
        )
