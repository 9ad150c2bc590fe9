"""One page with all pictures and the numbers behind them, which needs nothing outside itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from profiles.reports.latency.inputs import Subject
from profiles.reports.page.elements import document, facts, figure, table, text
from profiles.reports.page.facts import footprint_table, held_out_table, profile_facts
from profiles.reports.pictures.drawn import Picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A profile and its pictures."""

    subject: Subject
    pictures: tuple[Picture, ...]


def make_page(sections: Sequence[Section]) -> bytes:
    """The HTML of the page; the same sections give the same bytes."""
    title = _title(sections)
    body = "".join(_section(section, alone=len(sections) == 1) for section in sections)
    return document(title, body)


def _title(sections: Sequence[Section]) -> str:
    names = dict.fromkeys(section.subject.file.profile.model.name for section in sections)
    return f"Latency of {', '.join(names)}"


def _section(section: Section, *, alone: bool) -> str:
    profile = section.subject.file.profile
    device = f"{profile.device.name}, {profile.taken[:10]}"
    opening = f'<p class="lead">{text(device)}</p>\n' if alone else f"<h2>{text(_place(section))}</h2>\n"
    links = "".join(
        f'<li><a href="#{text(one.chart.name)}">{text(one.chart.title)}</a></li>' for one in section.pictures
    )
    pictures = "".join(map(figure, section.pictures))
    errors = "".join(
        table(
            held_out_table(one), name=f"What the estimator {' '.join(form)} got wrong of what was left out of its fit"
        )
        for form, one in section.subject.estimators.items()
    )
    took = table(footprint_table(profile), name="Memory and energy") if profile.footprints else ""
    return f"{opening}{facts(profile_facts(section.subject))}{errors}{took}<nav><ul>{links}</ul></nav>\n{pictures}"


def _place(section: Section) -> str:
    file = section.subject.file
    return f"{file.path.name}: {file.profile.model.name} on {file.profile.device.name}"
