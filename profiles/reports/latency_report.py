"""The report of latency profiles: a picture a question, each as SVG and PNG, and one page with all of them."""

from collections.abc import Sequence
from pathlib import Path

from profiles.errors import MeasurementError
from profiles.reports.latency.inputs import Subject
from profiles.reports.page.page import Section, make_page
from profiles.reports.pictures.charts import charts
from profiles.reports.pictures.drawn import draw
from runtime.documents.atomic_file import write_atomically

PAGE = "report.html"


def write_report(subjects: Sequence[Subject], out: Path) -> tuple[Path, ...]:
    """Write the pictures and then the page into the folder `out`, each whole or not at all; returns their paths.

    Files of the same name are replaced. Raises MeasurementError where there is nothing to show, OSError as writing
    does.
    """
    sections = [
        Section(subject=subject, pictures=tuple(map(draw, charts(subject, prefix=prefix))))
        for subject, prefix in zip(subjects, _prefixes(subjects), strict=True)
    ]
    for section in sections:
        if not section.pictures:
            raise MeasurementError(
                f"{section.subject.file.path}: nothing to show: no variant has both prefill and decode, and no point "
                "enough repeats"
            )
    out.mkdir(parents=True, exist_ok=True)
    files = {
        f"{picture.chart.name}.{kind}": data
        for section in sections
        for picture in section.pictures
        for kind, data in (("svg", picture.wide), ("png", picture.png))
    }
    for name, data in {**files, PAGE: make_page(sections)}.items():
        write_atomically(out / name, data)
    return tuple(out / name for name in (PAGE, *files))


def _prefixes(subjects: Sequence[Subject]) -> list[str]:
    """What begins the names of each profile's pictures: nothing for a single one, else its file's name, with a number
    where two have the same."""
    if len(subjects) == 1:
        return [""]
    stems = [subject.file.path.stem for subject in subjects]
    numbered = len(set(stems)) < len(stems)
    return [f"{stem}-{number}-" if numbered else f"{stem}-" for number, stem in enumerate(stems, 1)]
