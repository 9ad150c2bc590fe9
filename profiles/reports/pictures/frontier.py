"""The latency–accuracy frontier of a family on one machine, with the variants that another one dominates."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from profiles.errors import MeasurementError
from profiles.latency.fit.profile_points import OUTPUT_TOKENS
from profiles.reports.latency.answers import measured_answers, predicted_answers
from profiles.reports.latency.frontier import Contender, accuracies, beaten_by, common_datasets
from profiles.reports.latency.inputs import BaselineFile, Subject
from profiles.reports.latency.series import show_load
from profiles.reports.pictures.canvas import Canvas, legend_above, log_axis
from profiles.reports.pictures.chart import Chart, Table, head
from profiles.reports.pictures.labels import place_labels
from profiles.reports.pictures.numbers import digits, percent
from profiles.reports.pictures.palette import MUTED, PAPER, style
from runtime.latency.workload import Workload

WIDE_RANGE = 4  # of times; beyond, their axis is logarithmic
Ranked = tuple[tuple[Contender, Contender | None], ...]


def contenders(subject: Subject, load: Workload) -> tuple[Contender, ...]:
    """Every variant whose accuracy is known, in each form, with the time of its answer under the load: as measured, or
    else as predicted. None without a baseline.

    Raises MeasurementError when it has no scores of the forms, or no data set that all of those have.
    """
    found: list[Contender] = []
    if subject.baseline is None:
        return ()
    names = _datasets(subject.baseline, subject)
    for series in subject.series:
        scores = accuracies(subject.baseline.baseline, series.form, names)
        measured, estimator = measured_answers(series, load), subject.estimators.get(series.form)
        predicted = {} if estimator is None else predicted_answers(series, load, estimator.predict)
        for variant, accuracy in scores.items():
            answer = measured.get(variant, predicted.get(variant))
            if answer is not None:
                found.append(
                    Contender(
                        variant=variant,
                        form=series.form,
                        ms=answer.total_ms,
                        predicted=variant not in measured,
                        accuracy=accuracy,
                    )
                )
    return tuple(found)


def _datasets(file: BaselineFile, subject: Subject) -> tuple[str, ...]:
    forms = [series.form for series in subject.series]
    names = common_datasets(file.baseline, forms)
    if not names:
        have = dict.fromkeys(f"{score.engine} {score.dtype}" for score in file.baseline.scores)
        raise MeasurementError(
            f"{file.path}: no data set on which every variant of {', '.join(map(' '.join, forms))} has a score; it has "
            f"scores of {', '.join(have) or 'nothing'}"
        )
    return names


def frontier_chart(subject: Subject, load: Workload) -> Chart | None:
    """The chart under a load; None without a baseline for any of the measured forms."""
    found = contenders(subject, load)
    if not found or subject.baseline is None:
        return None
    ranked = tuple(sorted(zip(found, beaten_by(found), strict=True), key=lambda pair: pair[0].ms))
    best = [one for one, other in ranked if other is None]
    names = _datasets(subject.baseline, subject)
    guessed = sum(one.predicted for one in found)
    ends = f"from {_said(best[0])} to {_said(best[-1])}" if len(best) > 1 else f"{_said(best[0])} alone"
    return Chart(
        name="frontier",
        title="Latency–accuracy frontier",
        caption=f"An answer of {OUTPUT_TOKENS} tokens, {show_load(load)}; accuracy is the mean over "
        f"{', '.join(names)}, with its interval for variants on the frontier. {len(best)} of {len(found)} are on the "
        f"frontier, {ends}; the others are dominated: another one is neither slower nor less accurate."
        + (f" Times that are predicted, not measured: {guessed}." if guessed else ""),
        alt=f"Accuracy over milliseconds for an answer, {len(found)} variants. On the frontier, {ends}: "
        f"{', '.join(_name(one, found) for one in best)}; the other {len(found) - len(best)} are dominated.",
        table=_table(ranked, found),
        draw=lambda canvas: _draw(canvas, ranked),
    )


def _said(one: Contender) -> str:
    return f"{one.variant} ({digits(one.ms)} ms, {percent(one.accuracy.mean)})"


def _name(one: Contender, found: Sequence[Contender]) -> str:
    """The variant, with its form where there are several."""
    return one.variant if len({other.form for other in found}) == 1 else f"{one.variant} {' '.join(one.form)}"


def _table(ranked: Ranked, found: Sequence[Contender]) -> Table:
    rows = tuple(
        (
            one.variant,
            " ".join(one.form),
            digits(one.ms, 4),
            "predicted" if one.predicted else "measured",
            f"{100 * one.accuracy.mean:.2f}",
            f"{100 * one.accuracy.low:.2f} to {100 * one.accuracy.high:.2f}",
            "–" if other is None else _name(other, found),
        )
        for one, other in ranked
    )
    columns = (head("variant", right=False), head("form", right=False), head("answer, ms"), head("time", right=False))
    return Table(
        columns=(*columns, head("accuracy, %"), head("interval, %"), head("dominated by", right=False)), rows=rows
    )


def _draw(canvas: Canvas, ranked: Ranked) -> Figure:
    figure, panels = canvas.panels(1, height=4.6 if canvas.columns > 1 else 3.9)
    axes = panels[0]
    forms = list(dict.fromkeys(one.form for one, _ in ranked))
    _frontier_line(axes, ranked)
    for number, form in enumerate(forms):
        _marks(axes, [pair for pair in ranked if pair[0].form == form], number, "" if len(forms) == 1 else form)
    axes.set_xlabel(f"ms for an answer of {OUTPUT_TOKENS} tokens")
    axes.set_ylabel("accuracy, %")
    axes.margins(x=0.07, y=0.08)
    times = [one.ms for one, _ in ranked]
    if max(times) > WIDE_RANGE * min(times):
        log_axis(axes, "x", times)
    legend_above(figure, axes, columns=3 if canvas.columns > 1 else 3 // len(forms) or 1)
    best = [one for one, other in ranked if other is None]
    marks = [(one.ms, 100 * one.accuracy.mean) for one, _ in ranked]
    place_labels(figure, axes, [(one.ms, 100 * one.accuracy.mean, one.variant) for one in best], marks)
    return figure


def _frontier_line(axes: Axes, ranked: Ranked) -> None:
    """The best accuracy within a time, as steps."""
    best = [one for one, other in ranked if other is None]
    steps = [one.ms for one in best], [100 * one.accuracy.mean for one in best]
    axes.plot(*steps, drawstyle="steps-post", color=MUTED, linewidth=1.0, zorder=1.5)
    for one in best:
        ends = [100 * one.accuracy.low, 100 * one.accuracy.high]
        label = "interval" if one is best[-1] else None
        axes.plot([one.ms] * 2, ends, color=MUTED, linewidth=0.8, alpha=0.7, zorder=1.4, label=label)


def _marks(axes: Axes, ranked: Sequence[tuple[Contender, Contender | None]], number: int, form: object) -> None:
    look = style(number)
    name = f"{' '.join(form)}: " if isinstance(form, tuple) else ""
    for kept, label, face in ((True, "on the frontier", look.color), (False, "dominated", PAPER)):
        found = [one for one, other in ranked if (other is None) == kept]
        if found:
            axes.plot(
                [one.ms for one in found],
                [100 * one.accuracy.mean for one in found],
                linestyle="none",
                marker=look.marker,
                markersize=6.5 if kept else 5.0,
                markerfacecolor=face,
                markeredgecolor=look.color,
                label=f"{name}{label}",
                zorder=3 if kept else 2,
            )
