"""A data set from a folder of Hugging Face `datasets`: saved with `save_to_disk`, or parquet files.

The folder's format is that of `Dataset.save_to_disk` (https://huggingface.co/docs/datasets/process#save), the names of
parquet files those that `push_to_hub` gives (`train-00000-of-00002.parquet`).
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from profiles.datasets.dataset import Dataset
from profiles.datasets.hugging_face_rows import FIELDS, read_row
from profiles.datasets.json_lines import guess_settings
from profiles.errors import DatasetError, MissingToolError

_DATA = "data"  # the folder in which a data set of one configuration has its files
_SHARD = re.compile(r"-\d+-of-\d+.*$")


def is_saved_folder(folder: Path) -> bool:
    """Whether the folder looks like one of `datasets`."""
    return _is_saved(folder) or any(folder.rglob("*.parquet"))


def load_hugging_face(
    name: str, folder: Path, columns: Mapping[str, str], split: str | None, *, limit: int | None = None
) -> Dataset:
    """The data set in `folder`; `columns` maps fields of a sample to column names, fields left out have the column
    of their own name. With a `limit`, as many samples as `Dataset.limited` takes, the same ones: of parquet files only
    the row groups with these are read.

    Raises MissingToolError without the package `datasets`; DatasetError for unknown fields, columns and splits, for
    several splits of which none is named, and for wrong values.
    """
    for field in columns:
        if field not in FIELDS:
            raise DatasetError(f"{name}: no field {field!r} to map a column to; the fields are {', '.join(FIELDS)}")
    rows, numbers = _read(name, folder, split, limit)
    present = set(rows.column_names)
    for field, column in columns.items():
        if column not in present:
            raise DatasetError(
                f"{name}: {field} is to come from the column {column!r}, which {folder} lacks; it has "
                f"{', '.join(sorted(present))}"
            )
    mapping = {field: columns.get(field, field) for field in FIELDS if columns.get(field, field) in present}
    if "question" not in mapping:
        raise DatasetError(
            f"{name}: no column for the question; {folder} has {', '.join(sorted(present))}: map one of them"
        )
    if not len(rows):
        raise DatasetError(f"{name}: {folder} has no rows")
    labels = {
        field: found
        for field, column in mapping.items()
        if (found := _label_names(rows.features[column])) and field != "answer_index"
    }
    rows = _undecoded(rows.select_columns(list(dict.fromkeys(mapping.values()))))
    samples = tuple(
        read_row(f"{name}: row {number}", row, mapping, labels, number)
        for number, row in zip(numbers, rows, strict=True)
    )
    return Dataset(name=name, samples=samples, settings=guess_settings(samples))


def _read(name: str, folder: Path, split: str | None, limit: int | None) -> tuple[Any, Sequence[int]]:
    """The rows of a split as a `datasets.Dataset`, with their numbers in it."""
    try:
        import datasets
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        needed = f"{name}: {folder} is a folder of Hugging Face datasets, and the package {error.name} is missing"
        raise MissingToolError(f"{needed}: pip install datasets") from error
    try:
        if not _is_saved(folder):
            # The package's own reader would copy every file into a cache in the home directory.
            files = _chosen(name, folder, parquet_splits(folder), split)
            with ExitStack() as stack:
                opened = [stack.enter_context(pyarrow.parquet.ParquetFile(path)) for path in files]
                numbers = _numbers(sum(one.metadata.num_rows for one in opened), limit)
                tables = [table for one, places in _per_file(opened, numbers) for table in _tables(one, places)]
            return datasets.Dataset(datasets.table.InMemoryTable(pyarrow.concat_tables(tables))), numbers
        found = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, TypeError, LookupError, pyarrow.ArrowException) as error:
        raise DatasetError(f"{name}: {folder} cannot be read: {str(error).strip().partition(chr(10))[0]}") from error
    if isinstance(found, dict):
        found, split = _chosen(name, folder, found, split), None
    elif split not in (None, str(found.split)):
        raise DatasetError(
            f"{name}: {folder} is one saved data set and no split {split!r} of it is marked: name it without a split"
        )
    numbers = _numbers(len(found), limit)
    return (found if len(numbers) == len(found) else found.select(numbers)), numbers


def _numbers(count: int, limit: int | None) -> Sequence[int]:
    """The numbers of the rows that `Dataset.limited` takes of `count`."""
    if limit is None or limit >= count:
        return range(count)
    return [place * count // limit for place in range(limit)]


def _per_file(files: Sequence[Any], numbers: Sequence[int]) -> Iterator[tuple[Any, list[int]]]:
    """Each parquet file with the places of its rows among `numbers`, which ascend; none of one without."""
    first = 0
    for file in files:
        after = first + file.metadata.num_rows
        places = [number - first for number in numbers[bisect_left(numbers, first) : bisect_left(numbers, after)]]
        if places:
            yield file, places
        first = after


def _tables(file: Any, places: Sequence[int]) -> Iterator[Any]:
    """The rows at ascending places, from the row groups that have some."""
    first = 0
    for group in range(file.metadata.num_row_groups):
        after = first + file.metadata.row_group(group).num_rows
        inside = [place - first for place in places[bisect_left(places, first) : bisect_left(places, after)]]
        if inside:
            table = file.read_row_group(group)
            yield table if len(inside) == len(table) else table.take(inside)
        first = after


def _is_saved(folder: Path) -> bool:
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def parquet_splits(folder: Path) -> dict[str, list[Path]]:
    """The parquet files below a folder by split: what stands before `-00000-of-00002` in a name, or the folder's
    name of files that have none. Where files of several configurations are there, each in a folder of its own, the
    split's name has the configuration's before it: `DocVQA/validation`."""
    found: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(folder.rglob("*.parquet")):
        stem, above = _SHARD.sub("", path.stem), path.relative_to(folder).parts[:-1]
        split, above = (path.parent.name, above[:-1]) if stem.isdigit() else (stem, above)
        found.setdefault(("/".join(part for part in above if part != _DATA), split), []).append(path)
    several = len({configuration for configuration, _ in found}) > 1
    return {f"{one}/{split}" if several and one else split: files for (one, split), files in found.items()}


def _chosen(name: str, folder: Path, splits: Mapping[str, Any], split: str | None) -> Any:
    if split is None and len(splits) == 1:
        return next(iter(splits.values()))
    if split is None or split not in splits:
        text = (
            f"has the splits {', '.join(splits)}; name one as {name}:SPLIT={folder}"
            if splits
            else "has no parquet files"
        )
        raise DatasetError(f"{name}: {folder} {text}")
    return splits[split]


def _label_names(feature: Any) -> tuple[str, ...]:
    """The names behind the numbers of a column of class labels, or of lists of them; empty for other columns."""
    return tuple(getattr(getattr(feature, "feature", feature), "names", None) or ())


def _undecoded(rows: Any) -> Any:
    """Image columns as the bytes that were stored, so that the digest does not depend on a decoder."""
    import datasets

    stored = datasets.Image(decode=False)
    for column, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(column, stored)
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            rows = rows.cast_column(column, type(feature)(stored))
    return rows
