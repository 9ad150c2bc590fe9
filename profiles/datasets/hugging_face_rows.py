"""Rows of Hugging Face `datasets` as samples."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from profiles.errors import DatasetError
from profiles.sample import Sample

FIELDS = ("id", "image", "question", "answers", "options", "answer_index", "references")

_ANSWER = "answer"
_LONGEST_SHOWN = 60


def read_row(
    place: str, row: Mapping[str, Any], mapping: Mapping[str, str], labels: Mapping[str, Sequence[str]], number: int
) -> Sample:
    """A row as a sample: `mapping` names the column of each field, `labels` the classes of fields whose values are
    numbers of classes.

    `place` begins the messages, `number` is the id where no column gives one. Raises DatasetError for values of other
    types.
    """
    values = {field: row[column] for field, column in mapping.items()}
    index = values.get("answer_index")
    if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
        raise DatasetError(f"{place}: answer_index: expected an integer, found {_shown(index)}")
    question = values["question"]
    if not isinstance(question, str):
        raise DatasetError(f"{place}: question: expected a string, found {_shown(question)}")

    def texts(field: str) -> tuple[str, ...]:
        return read_texts(f"{place}: {field}", values.get(field), labels.get(field, ()))

    return Sample(
        id=str(values.get("id", number)),
        question=question,
        image=_image(place, values.get("image")),
        answers=texts("answers"),
        options=texts("options"),
        answer_index=index,
        references=texts("references"),
    )


def read_texts(place: str, value: Any, names: Sequence[str] = ()) -> tuple[str, ...]:
    """What a cell holds as texts. Nothing is converted but integers; with `names`, they are classes, and a negative one
    is a missing label.

    1. A text, an integer, or a list of them.
    2. A list of objects with an `answer`, or one object with a list of them, as VQA data sets have them.

    Raises DatasetError for anything else.
    """
    if isinstance(value, Mapping) and _ANSWER in value:
        value = value[_ANSWER]
    if value is None:
        return ()
    listed = value if isinstance(value, (list, tuple)) else [value]
    found = [one[_ANSWER] if isinstance(one, Mapping) and _ANSWER in one else one for one in listed]
    if any(not isinstance(one, (str, int)) or isinstance(one, bool) for one in found):
        raise DatasetError(f"{place}: expected texts, found {_shown(value)}")
    if names:
        return tuple(names[one] for one in found if isinstance(one, int) and one >= 0)
    return tuple(str(one) for one in found)


def _image(place: str, value: Any) -> Path | bytes | None:
    """The stored bytes or file of an image, of the only one where there is a list."""
    if isinstance(value, (list, tuple)):
        if len(value) > 1:
            raise DatasetError(f"{place}: image: expected one image, found {len(value)}")
        value = value[0] if value else None
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
    raise DatasetError(f"{place}: image: expected an image, found {_shown(value)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
