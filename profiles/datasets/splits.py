"""Data sets that evidence is measured on, as a command line names them: questions or texts, by name and split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from profiles.datasets.catalogue import LAYOUTS
from profiles.datasets.changes import Changes
from profiles.datasets.dataset import Dataset
from profiles.datasets.digits.dataset import CALIBRATION, DEMO_TASKS, calibration_dataset
from profiles.datasets.named import DEMO, Label, changed, check_changes, check_name, load_one, parse_label
from profiles.errors import DatasetError

TRAIN, VALIDATION = "train", "validation"
TEXT = ".txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """A text that a language model reads, under a name."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """A split of a data set of questions, or of a text."""

    split: str
    content: Dataset | Corpus

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.content.name


def load_splits(texts: Sequence[str], changes: Changes) -> tuple[Split, ...]:
    """The splits in order, with the changes applied.

    Each is named as for `load_named`, and so are JSON-lines files and texts (`*.txt`), whose split is what the user
    calls it; one without a name is `train`. `demo` and its tasks are the demo's calibration images, both splits unless
    one is named; its held-out images choose nothing. Raises DatasetError also for a split given twice.
    """
    found = [split for text in texts for split in _read(text, changes)]
    seen = [(split.name, split.split) for split in found]
    for name, split in seen:
        if seen.count((name, split)) > 1:
            raise DatasetError(f"the data set {name} has the split {split} twice")
    check_changes(changes, [name for name, _ in seen])
    return tuple(_changed(split, changes) for split in found)


def joined(splits: Sequence[Split]) -> tuple[Split, ...]:
    """One split a data set, the samples of all its splits under their names with "+" between them."""
    groups: dict[str, list[Split]] = {}
    for split in splits:
        groups.setdefault(split.name, []).append(split)
    return tuple(_join(group) for group in groups.values())


def _join(group: Sequence[Split]) -> Split:
    first, names = group[0].content, "+".join(split.split for split in group)
    if len(group) == 1:
        return group[0]
    if isinstance(first, Corpus):
        texts = [split.content.text for split in group if isinstance(split.content, Corpus)]
        if len(texts) != len(group):
            raise DatasetError(f"{first.name}: a text and questions have the same name")
        return Split(split=names, content=replace(first, text="\n".join(texts)))
    samples = []
    for split in group:
        if not isinstance(split.content, Dataset):
            raise DatasetError(f"{first.name}: a text and questions have the same name")
        if split.content.settings != first.settings:
            raise DatasetError(f"{first.name}: the splits {names} are not asked and scored alike")
        samples += [replace(sample, id=f"{split.split}/{sample.id}") for sample in split.content.samples]
    return Split(split=names, content=replace(first, samples=tuple(samples)))


def _read(text: str, changes: Changes) -> list[Split]:
    label = parse_label(text)
    if label.name == DEMO or (label.path is None and label.name in DEMO_TASKS):
        return _demo(text, label)
    if label.path is None:
        raise DatasetError(f"--data {text}: give {DEMO}, NAME=PATH or NAME:SPLIT=PATH")
    check_name(text, label.name)
    if label.split is not None:
        check_name(text, label.split)
    if label.path.suffix == TEXT:
        content: Dataset | Corpus = Corpus(name=label.name, text=_text(text, label.path))
    elif label.path.is_file():
        content = load_one(f"{label.name}={label.path}", changes)
    else:
        layout = LAYOUTS.get(label.name)
        split = label.split or (TRAIN if layout is not None and TRAIN in layout.splits else None)
        content = load_one(f"{label.name}{f':{split}' if split else ''}={label.path}", changes)
    return [Split(split=label.split or TRAIN, content=content)]


def _demo(text: str, label: Label) -> list[Split]:
    if label.path is not None or label.split not in (None, *CALIBRATION):
        raise DatasetError(
            f"--data {text}: the demo's data sets need no path, and their splits are {', '.join(CALIBRATION)}"
        )
    tasks = DEMO_TASKS if label.name == DEMO else (label.name,)
    splits = tuple(CALIBRATION) if label.split is None else (label.split,)
    return [Split(split=split, content=calibration_dataset(task, split)) for task in tasks for split in splits]


def _text(given: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"--data {given}: {path} cannot be read as text: {error}") from error
    if not text.strip():
        raise DatasetError(f"--data {given}: {path} holds no text")
    return text


def _changed(split: Split, changes: Changes) -> Split:
    if isinstance(split.content, Corpus):
        return split
    return replace(split, content=changed(split.content, changes))
