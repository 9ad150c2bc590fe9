"""All pictures of a study, in the order of its report."""

from collections.abc import Callable
from dataclasses import replace

from profiles.evidence.comparing.overview import Overview
from profiles.reports.evidence.pictures.consistency import consistency_chart
from profiles.reports.evidence.pictures.pairs import pairs_chart, splits_chart
from profiles.reports.evidence.pictures.parts import parts_chart
from profiles.reports.evidence.pictures.positions import positions_chart
from profiles.reports.evidence.pictures.rankings import estimates_chart, rankings_chart
from profiles.reports.evidence.pictures.responses import distributions_chart, responses_chart
from profiles.reports.evidence.pictures.task_types import detailed_chart, task_types_chart
from profiles.reports.pictures.chart import Chart
from runtime.text.counted import counted

CHARTS: tuple[Callable[[Overview], Chart | None], ...] = (
    rankings_chart,
    estimates_chart,
    task_types_chart,
    positions_chart,
    parts_chart,
    consistency_chart,
    responses_chart,
    distributions_chart,
    pairs_chart,
    detailed_chart,
    splits_chart,
)


def study_charts(overview: Overview) -> tuple[Chart, ...]:
    """Every chart that the results allow."""
    study = overview.study
    source = f"{counted(len(study.combinations), 'combination')}, {counted(len(study.datasets), 'data set')}"
    found = (chart for make in CHARTS if (chart := make(overview)) is not None)
    return tuple(replace(chart, source=source) for chart in found)
