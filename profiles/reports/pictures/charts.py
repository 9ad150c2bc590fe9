"""All pictures of a profile, in the order of a report."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from profiles.reports.latency.inputs import Subject
from profiles.reports.latency.predictions import add_answers, predict_points
from profiles.reports.latency.series import Series, reference_load
from profiles.reports.pictures.chart import Chart
from profiles.reports.pictures.depth import depth_chart
from profiles.reports.pictures.drift import drift_chart
from profiles.reports.pictures.frontier import frontier_chart
from profiles.reports.pictures.predicted import predicted_chart
from profiles.reports.pictures.residuals import residuals_chart
from profiles.reports.pictures.roofline import roofline_chart


def charts(subject: Subject, *, prefix: str) -> tuple[Chart, ...]:
    """Every chart that the files of a profile allow; `prefix` begins their names."""
    profile = subject.file.profile
    source = f"{profile.model.name} on {profile.device.name}, {profile.device.threads} threads, {profile.taken[:10]}"
    found = [chart for chart in _all(subject) if chart is not None]
    return tuple(replace(chart, name=f"{prefix}{chart.name}", source=source) for chart in found)


def _all(subject: Subject) -> Iterator[Chart | None]:
    load = reference_load(subject.series)
    if load is not None:
        yield frontier_chart(subject, load)
        for series in subject.series:
            yield _of(series, subject.series, depth_chart(series, load))
    for series in subject.series:
        if series.form in subject.estimators:
            estimator = subject.estimators[series.form]
            pairs = predict_points(series, estimator.predict)
            if pairs:
                yield _of(series, subject.series, predicted_chart(series, estimator, pairs))
                yield _of(series, subject.series, residuals_chart(series, (*pairs, *add_answers(pairs))))
    yield roofline_chart(subject)
    yield drift_chart(subject)


def _of(series: Series, every: Sequence[Series], chart: Chart | None) -> Chart | None:
    """The chart with the name of its series behind its own, where there are several."""
    if chart is None or len(every) == 1:
        return chart
    name = "-".join(series.form)
    plain = re.sub(r"[^A-Za-z0-9-]+", "_", name)
    return replace(chart, name=f"{chart.name}-{plain}{'' if plain == name else every.index(series)}")
