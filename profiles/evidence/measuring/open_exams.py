"""The splits of a command line in front of a model, each with the folder of its evidence."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from profiles.datasets.splits import Corpus, Split
from profiles.evidence.measuring.exam import Exam, Material
from profiles.evidence.measuring.kept import Kept, MeasurementSettings
from profiles.evidence.measuring.questions import Questions, question_settings
from profiles.evidence.measuring.texts import Texts, text_settings
from profiles.evidence.running.source_model import SourceModel


@contextmanager
def open_exams(
    model: SourceModel, splits: Sequence[Split], out: Path, *, batch_size: int
) -> Iterator[tuple[Exam, ...]]:
    """An exam for each split, kept in the folders of `out` that the study's layout has for it; their journals are open
    inside. Raises MeasurementError where a folder has evidence made with other settings, DatasetError and
    MissingToolError for what cannot be asked or scored."""
    with ExitStack() as stack:
        exams = []
        for split in splits:
            settings, material = _prepare(model, split, batch_size)
            kept = stack.enter_context(Kept(split_folder(out, split.name, split.split), settings))
            exams.append(Exam(model.staged, material, kept))
        yield tuple(exams)


def split_folder(out: Path, name: str, split: str) -> Path:
    """Where the study's layout has the evidence of a split."""
    return out / name / split


def _prepare(model: SourceModel, split: Split, batch_size: int) -> tuple[MeasurementSettings, Material]:
    content = split.content
    if isinstance(content, Corpus):
        settings = text_settings(model, content, split.split, batch_size=batch_size)
        return settings, Texts(model, content, batch_size=batch_size)
    settings = question_settings(model, content, split.split, batch_size=batch_size)
    return settings, Questions(model, content, batch_size=batch_size)
