"""Data sets as a command line names them: `demo`, `NAME=PATH` or `NAME:SPLIT=PATH`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from profiles.datasets.catalogue import LAYOUTS, load_layout
from profiles.datasets.changes import Changes
from profiles.datasets.dataset import Dataset
from profiles.datasets.digits.dataset import DEMO_TASKS, demo_dataset
from profiles.datasets.hugging_face import is_saved_folder, load_hugging_face
from profiles.datasets.json_lines import load_json_lines
from profiles.errors import DatasetError

DEMO = "demo"

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names go into the names of files with results."""


def load_named(texts: Sequence[str], changes: Changes) -> tuple[Dataset, ...]:
    """The data sets, in order, with the changes applied.

    Raises DatasetError for what cannot be read, names that are not plain, names given twice and changes to a data set
    that is not there; MissingToolError and DocumentError as the readers do.
    """
    found: list[Dataset] = []
    for text in texts:
        found += _demo(text) if parse_label(text).name == DEMO or text in DEMO_TASKS else [load_one(text, changes)]
    names = [dataset.name for dataset in found]
    if len(set(names)) != len(names):
        raise DatasetError(f"two data sets have the name {next(name for name in names if names.count(name) > 1)!r}")
    check_changes(changes, names)
    return tuple(changed(dataset, changes) for dataset in found)


def check_changes(changes: Changes, names: Sequence[str]) -> None:
    """Raise DatasetError for a change to a data set that is not there."""
    for option, given in (("--metric", changes.metrics), ("--prompt", changes.prompts), ("--columns", changes.columns)):
        for name in given:
            if name not in names:
                raise DatasetError(f"{option} {name}=…: no such data set; those given are {', '.join(names)}")


def _demo(text: str) -> list[Dataset]:
    if text not in (DEMO, *DEMO_TASKS):
        raise DatasetError(
            f"--data {text}: the demo's data sets need no path; give {DEMO} or one of {', '.join(DEMO_TASKS)}"
        )
    return [demo_dataset(task) for task in (DEMO_TASKS if text == DEMO else (text,))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What --data says: `name`, `split` and `path`, None where it says none."""

    name: str
    split: str | None
    path: Path | None


def parse_label(text: str) -> Label:
    """`NAME`, `NAME:SPLIT`, `NAME=PATH` or `NAME:SPLIT=PATH`. Raises DatasetError for anything else."""
    label, equals, place = text.partition("=")
    name, colon, split = label.partition(":")
    if not name or (equals and not place) or (colon and not split):
        raise DatasetError(f"--data {text}: give {DEMO}, NAME=PATH or NAME:SPLIT=PATH")
    return Label(name=name, split=split if colon else None, path=Path(place) if equals else None)


def load_one(text: str, changes: Changes) -> Dataset:
    """The data set of one --data that names a path, the changes not applied. Raises as `load_named`."""
    label = parse_label(text)
    name, chosen, path = label.name, label.split, label.path
    if path is None:
        raise DatasetError(f"--data {text}: give {DEMO}, NAME=PATH or NAME:SPLIT=PATH")
    check_name(text, name)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DatasetError(f"--data {text}: {path} is a pipe, a socket or a device: neither a file nor a folder")
    if path.is_file():
        if chosen is not None:
            raise DatasetError(f"--data {text}: a JSON-lines file has no splits")
        return _as_known(load_json_lines(name, path))
    if not path.is_dir():
        raise DatasetError(f"--data {text}: {path} is neither a file nor a folder")
    if name in changes.columns or (name not in LAYOUTS and is_saved_folder(path)):
        return _as_known(_hugging_face(label, path, changes))
    if name not in LAYOUTS:
        raise DatasetError(
            f"--data {text}: {path} holds no folder of Hugging Face datasets, and {name!r} is none of the known "
            f"data sets {', '.join(LAYOUTS)}"
        )
    return load_layout(LAYOUTS[name], path, chosen)


def _hugging_face(label: Label, path: Path, changes: Changes) -> Dataset:
    named = columns(changes.columns.get(label.name, ""))
    return load_hugging_face(label.name, path, named, label.split, limit=changes.limit)


def _as_known(dataset: Dataset) -> Dataset:
    """One of the study's data sets is asked and scored as such in whatever form it comes."""
    return replace(dataset, settings=LAYOUTS[dataset.name].settings) if dataset.name in LAYOUTS else dataset


def check_name(text: str, name: str) -> None:
    """Raise DatasetError for a name that cannot be part of a file's."""
    if not _PLAIN.fullmatch(name):
        raise DatasetError(
            f"--data {text}: the name {name!r} is not at most 100 letters, digits, '.', '_' and '-', with a letter "
            "or digit first"
        )


def columns(text: str) -> Mapping[str, str]:
    """`field:column,field:column` as a mapping. Raises DatasetError."""
    pairs = [part.partition(":") for part in text.split(",") if part]
    if any(not field or not column for field, _, column in pairs):
        raise DatasetError(
            f"columns {text!r}: give field:column pairs between commas, such as question:query,answers:label"
        )
    return {field: column for field, _, column in pairs}


def changed(dataset: Dataset, changes: Changes) -> Dataset:
    """The data set with what the changes say about it."""
    fields: dict[str, Any] = {}
    if dataset.name in changes.metrics:
        fields["metric"] = changes.metrics[dataset.name]
    if dataset.name in changes.prompts:
        fields["prompt"] = changes.prompts[dataset.name]
    if changes.max_new_tokens is not None:
        fields["max_new_tokens"] = changes.max_new_tokens
    samples = tuple(replace(sample, dataset=dataset.name) for sample in dataset.limited(changes.limit).samples)
    return replace(dataset, samples=samples, settings=replace(dataset.settings, **fields))
