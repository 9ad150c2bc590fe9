"""Check that a family holds exactly the files its manifest lists, each a regular file. Reads none but the manifest."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from runtime.documents.family_layout import AUXILIARY, GOLDEN, GRAPHS, MANIFEST, WEIGHTS
from runtime.documents.manifest import FileRecord, Manifest, VariantRecord, read_manifest, what_instead
from runtime.errors import DocumentError, VerificationError
from runtime.text.counted import counted
from runtime.text.sizes import show_bytes


def open_family(folder: Path) -> Manifest:
    """Read the manifest of a family. Raises VerificationError saying what the folder is instead when it has none, or
    what is wrong in it."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are wanted
    except FileNotFoundError as error:
        raise VerificationError(f"{folder}: no such folder") from error
    except NotADirectoryError as error:
        raise VerificationError(f"{folder}: not a folder") from error
    except OSError as error:
        raise VerificationError(f"{folder}: cannot be read: {error.strerror}") from error
    if MANIFEST not in names:
        raise VerificationError(f"{folder}: no {MANIFEST}: {what_instead(folder)}")
    if not stat.S_ISREG((folder / MANIFEST).lstat().st_mode):
        raise VerificationError(f"{folder / MANIFEST}: not a regular file: {_what_it_is(folder, MANIFEST)}")
    try:
        return read_manifest(folder)
    except DocumentError as error:
        raise VerificationError(str(error)) from error


def selected_records(manifest: Manifest, variants: Sequence[str]) -> tuple[FileRecord, ...]:
    """The records that concern the given variants (all when empty): their folders and what these link to, their graphs
    and golden files, family files."""
    if not variants:
        return manifest.files
    others = [variant for variant in manifest.variants if variant.id not in variants]
    kept = [record for record in manifest.files if not any(_belongs_to(record.path, variant) for variant in others)]
    own = tuple(f"{manifest.variant(variant).folder}/" for variant in variants)
    used = {record.sha256 for record in kept if record.path.startswith(own)}
    return tuple(
        record
        for record in kept
        if not record.path.startswith((f"{WEIGHTS}/", f"{AUXILIARY}/")) or record.sha256 in used
    )


def _belongs_to(path: str, variant: VariantRecord) -> bool:
    """Whether a file is of that variant alone: in its folder, or its graph or golden file, or in its graph's folder."""
    if path.startswith(f"{variant.folder}/"):
        return True
    place, *below = PurePosixPath(path).parts
    own = {variant.id, f"{variant.id}.onnx", f"{variant.id}.safetensors"}
    return place in (GRAPHS, GOLDEN) and not own.isdisjoint(below)


def check_listing(folder: Path, manifest: Manifest, records: Sequence[FileRecord]) -> str:
    """Compare the files of the folder with the manifest's; returns a sentence.

    Raises VerificationError naming the first file that is missing, the first of `records` that is no regular file (a
    link, a folder, a named pipe, …), and the first thing there that the manifest does not list.
    """
    modes = _walk(folder, _refuse)
    problems = list(_problems(folder, manifest, records, modes))
    if problems:
        raise VerificationError("; ".join(problems))
    apart = _unlinked(folder, records)
    copies = (
        f"; {len(apart)} are copies where links were, {show_bytes(sum(record.size for record in apart))} more"
        if apart
        else ""
    )
    return f"{counted(len(records), 'file')}, none missing, none extra{copies}"


def regular_files(folder: Path, records: Sequence[FileRecord]) -> tuple[FileRecord, ...]:
    """The records whose files are there, as far as folders can be read."""
    modes = _walk(folder, lambda _error: None)
    return tuple(record for record in records if stat.S_ISREG(modes.get(record.path, 0)))


def _problems(
    folder: Path, manifest: Manifest, records: Sequence[FileRecord], modes: Mapping[str, int]
) -> Iterator[str]:
    missing = [record.path for record in records if record.path not in modes]
    if missing:
        count = f"{len(missing)} of {len(records)} files missing"
        yield f"{count}, first {missing[0]}: copied in part, or files were deleted"
    irregular = [record.path for record in records if not stat.S_ISREG(modes.get(record.path, stat.S_IFREG))]
    if irregular:
        yield (
            f"{len(irregular)} of {len(records)} files not regular files, first {irregular[0]}: "
            f"{_what_it_is(folder, irregular[0])}"
        )
    listed = {record.path for record in manifest.files} | {MANIFEST}
    extra = sorted(path for path, mode in modes.items() if path not in listed and not stat.S_ISDIR(mode))
    if extra:
        what = "" if stat.S_ISREG(modes[extra[0]]) else f" ({_what_it_is(folder, extra[0])})"
        yield f"{counted(len(extra), 'file')} that {MANIFEST} does not list, first {extra[0]}{what}"
    needed = {parent.as_posix() for path in listed for parent in PurePosixPath(path).parents}
    filled = {parent.as_posix() for path in modes for parent in PurePosixPath(path).parents}
    empty = sorted(path for path, mode in modes.items() if stat.S_ISDIR(mode) and path not in needed | filled | listed)
    if empty:
        yield f"{counted(len(empty), 'empty folder')} that {MANIFEST} does not list, first {empty[0]}"


def _walk(folder: Path, unreadable: Callable[[OSError], None]) -> dict[str, int]:
    """The type (`st_mode`) of everything below `folder` by its path; links are not followed. `unreadable` is told of
    folders that cannot be read."""
    modes = {}
    for root, folders, files in os.walk(folder, onerror=unreadable):
        for name in (*folders, *files):
            path = Path(root, name)
            modes[path.relative_to(folder).as_posix()] = path.lstat().st_mode
    return modes


def _refuse(error: OSError) -> None:
    raise VerificationError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _what_it_is(folder: Path, path: str) -> str:
    """What stands at `path` below `folder` in place of a regular file."""
    place = folder / path
    mode = place.lstat().st_mode
    if stat.S_ISLNK(mode):
        end = Path(os.path.realpath(place))
        inside = end.is_relative_to(os.path.realpath(folder))
        where = "which does not exist" if not os.path.lexists(end) else "" if inside else "outside the family"
        return ", ".join(part for part in (f"a symbolic link to {os.readlink(place)}", where) if part)  # noqa: PTH115
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _unlinked(folder: Path, records: Sequence[FileRecord]) -> list[FileRecord]:
    """The records whose hard link has become a file of its own."""
    return [r for r in records if r.link_of is not None and not _same_file(folder / r.path, folder / r.link_of)]


def _same_file(first: Path, second: Path) -> bool:
    return first.exists() and second.exists() and first.samefile(second)
