"""The folder that an export will appear as: whether it may be written there."""

import os
import shutil
from pathlib import Path

from exporter.family.disk_space import looking_at, target_error
from runtime.documents.family_layout import MANIFEST, STANDALONE, TENSORS
from runtime.errors import TargetError


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


def remove_tree(path: Path) -> None:
    """Delete a file or a folder with all it holds; a missing one is fine. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
