"""A data set from a folder of Hugging Face `datasets`: saved with `save_to_disk`, or parquet files."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.datasets.dataset import Dataset
from profiles.datasets.json_lines import guess_settings
from profiles.datasets.sample import Sample
from profiles.errors import DatasetError, MissingToolError

FIELDS = ("id", "image", "question", "answers", "options", "answer_index", "references")


def is_saved_folder(folder: Path) -> bool:
    """Whether the folder looks like one of `datasets`."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file() or any(folder.rglob("*.parquet"))


def load_hugging_face(name: str, folder: Path, columns: Mapping[str, str], split: str | None) -> Dataset:
    """The data set in `folder`; `columns` maps fields of a sample to column names, fields left out have the column of their own name.

    Raises MissingToolError without the package `datasets`; DatasetError for unknown fields, columns and splits and for wrong values.
    """
    for field in columns:
        if field not in FIELDS:
            raise DatasetError(f"{name}: no field {field!r} to map a column to; the fields are {', '.join(FIELDS)}")
    rows = _undecoded(_read(name, folder, split))
    present = set(rows.column_names)
    for field, column in columns.items():
        if column not in present:
            raise DatasetError(f"{name}: {field} is to come from the column {column!r}, which {folder} lacks; it has {', '.join(sorted(present))}")
    mapping = {field: columns.get(field, field) for field in FIELDS if columns.get(field, field) in present}
    if "question" not in mapping:
        raise DatasetError(f"{name}: no column for the question; {folder} has {', '.join(sorted(present))}: map one of them")
    samples = tuple(_sample(f"{name}: row {number}", row, mapping, number) for number, row in enumerate(rows))
    if not samples:
        raise DatasetError(f"{name}: {folder} has no rows")
    return Dataset(name=name, samples=samples, settings=guess_settings(samples))


def _read(name: str, folder: Path, split: str | None) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingToolError(
            f"{name}: {folder} is a folder of Hugging Face datasets, and the package `datasets` is missing: pip install datasets"
        ) from error
    if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
        found = datasets.load_from_disk(str(folder))
    else:
        files = sorted(str(path) for path in folder.rglob(f"{split or ''}*.parquet"))
        if not files:
            raise DatasetError(f"{name}: {folder} has no parquet files{f' whose name begins with {split}' if split else ''}")
        return datasets.Dataset.from_parquet(files, keep_in_memory=True)
    if not isinstance(found, dict):
        return found
    if split is None and len(found) == 1:
        return next(iter(found.values()))
    if split not in found:
        raise DatasetError(f"{name}: {folder} has the splits {', '.join(found)}; name one as {name}:SPLIT={folder}")
    return found[split]


def _undecoded(rows: Any) -> Any:
    """Image columns as the bytes that were stored, so that the digest does not depend on a decoder."""
    import datasets

    for column, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(column, datasets.Image(decode=False))
    return rows


def _sample(place: str, row: Mapping[str, Any], mapping: Mapping[str, str], number: int) -> Sample:
    values = {field: row[column] for field, column in mapping.items()}
    index = values.get("answer_index")
    if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
        raise DatasetError(f"{place}: answer_index: expected an integer, found {index!r}")
    question = values["question"]
    if not isinstance(question, str):
        raise DatasetError(f"{place}: question: expected a string, found {question!r}")
    return Sample(
        id=str(values.get("id", number)),
        question=question,
        image=_image(place, values.get("image")),
        answers=_texts(place, "answers", values.get("answers")),
        options=_texts(place, "options", values.get("options")),
        answer_index=index,
        references=_texts(place, "references", values.get("references")),
    )


def _texts(place: str, field: str, value: Any) -> tuple[str, ...]:
    """A text, a list of texts, or a list of objects with an `answer`, as VQA data sets have them."""
    if value is None:
        return ()
    found = [value] if isinstance(value, (str, int)) else [one["answer"] if isinstance(one, Mapping) and "answer" in one else one for one in value]
    if any(not isinstance(one, (str, int)) or isinstance(one, bool) for one in found):
        raise DatasetError(f"{place}: {field}: expected texts, found {value!r}")
    return tuple(str(one) for one in found)


def _image(place: str, value: Any) -> Path | bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, Mapping) and value.get("bytes"):
        return bytes(value["bytes"])
    if isinstance(value, Mapping) and value.get("path"):
        return Path(value["path"])
    if hasattr(value, "save"):
        buffer = io.BytesIO()
        value.save(buffer, format="PNG")
        return buffer.getvalue()
    raise DatasetError(f"{place}: image: expected an image, found {type(value).__name__}")
