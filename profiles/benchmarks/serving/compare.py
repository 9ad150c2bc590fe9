"""Measures how a family keeps budgets, at light load and above the whole model's capacity, beside servers that have the
whole model only: one that knows no budgets, and one that refuses and sheds as the family does."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from profiles.benchmarks.figures import Figure, at_least, at_most
from profiles.benchmarks.serving.capacity import alone_ms, capacity_per_s
from profiles.benchmarks.serving.drive import Policy, drive
from profiles.benchmarks.serving.mix import Arrival, budgets_of, poisson_mix
from profiles.benchmarks.serving.opening import Opened, Served, opened
from profiles.benchmarks.serving.outcome import Attainment, Outcome, attainment
from profiles.benchmarks.serving.overhead import overhead
from profiles.benchmarks.serving.questions import LoadQuestion

LIGHT, HEAVY = "light", "heavy"
LOADS = {LIGHT: 0.15, HEAVY: 1.5}  # over the capacity of the whole model
ALONE = 40  # answers, one at a time, that budgets are made of
OVERHEAD = 40
CHOOSING = "family"
WIDTH = 80  # columns

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """How long it goes on: seconds of each load, of the one that warms up, and of the capacity's measurement."""

    seed: int = 0
    seconds: float = 30.0
    warm_seconds: float = 8.0
    capacity_seconds: float = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One load and one policy, with what became of every request."""

    load: str
    policy: str
    rate_per_s: float
    attainment: Attainment
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What was measured. The first `whole` figures are the whole model's: milliseconds alone, answers a second."""

    whole: str
    alone_ms: float
    capacity_per_s: float
    budgets_ms: tuple[float, ...]
    runs: tuple[Run, ...]
    overhead: float

    def run(self, load: str, policy: str) -> Run:
        """The run of that load and policy."""
        return next(one for one in self.runs if (one.load, one.policy) == (load, policy))

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What has to be met."""
        light, heavy = (_share(self.run(load, CHOOSING)) for load in LOADS)
        return (
            at_least("accepted in budget, light load", light, 0.95),
            at_least(f"accepted in budget, {LOADS[HEAVY]:g} × capacity", heavy, 0.90),
            at_most(f"the same, {self.whole} alone", _share(self.run(HEAVY, self.whole)), 0.60),
            at_most("family over its bare engine, one at a time", self.overhead, 1.05),
        )


def compare(served: Served, questions: Sequence[LoadQuestion], bench: Bench, *, say: Say) -> Comparison:
    """Measure the whole model first, then all servers under the same loads. Raises as Family.load does."""
    whole = served.whole.id
    fixed = Policy(name=whole, fixed=whole, budgets=False)
    with opened(served) as found:
        say(f"{whole} alone")
        alone = alone_ms(found.family, questions, fixed, count=ALONE)
        rows = served.settings.limits.max_rows
        capacity = capacity_per_s(found.family, questions, fixed, rows=rows, seconds=bench.capacity_seconds)
        mixes = _mixes(bench, capacity, len(questions), budgets_of(alone))
        say(f"{alone:.1f} ms alone, {capacity:.1f} a second together")
        added = overhead(found, questions[:: max(1, len(questions) // OVERHEAD)], fixed, whole)
        runs = [_run(found, load, mixes[load], questions, fixed, bench, say) for load in LOADS]
    warming = _mix(bench, LOADS[LIGHT] * capacity, len(questions), budgets_of(alone), warming=True)
    for policy in (Policy(name=shedding(whole), fixed=whole), Policy(name=CHOOSING)):
        with opened(served) as found:
            say(f"warming up {policy.name}")
            drive(found.family, warming, questions, policy, found.accuracy)
            runs += [_run(found, load, mixes[load], questions, policy, bench, say) for load in LOADS]
    return Comparison(
        whole=whole,
        alone_ms=alone,
        capacity_per_s=capacity,
        budgets_ms=budgets_of(alone),
        runs=tuple(runs),
        overhead=added,
    )


def shedding(whole: str) -> str:
    """The name of the server that has the whole model only, and budgets."""
    return f"{whole} shedding"


def _mixes(
    bench: Bench, capacity: float, questions: int, budgets_ms: Sequence[float]
) -> dict[str, tuple[Arrival, ...]]:
    return {load: _mix(bench, share * capacity, questions, budgets_ms) for load, share in LOADS.items()}


def _mix(
    bench: Bench, rate: float, questions: int, budgets_ms: Sequence[float], *, warming: bool = False
) -> tuple[Arrival, ...]:
    """The load that warms up is another one than those that count."""
    seconds = bench.warm_seconds if warming else bench.seconds
    seed = bench.seed + warming
    return poisson_mix(seed=seed, seconds=seconds, rate=rate, questions=questions, budgets_ms=budgets_ms)


def _run(
    found: Opened,
    load: str,
    arrivals: Sequence[Arrival],
    questions: Sequence[LoadQuestion],
    policy: Policy,
    bench: Bench,
    say: Say,
) -> Run:
    say(f"{load} load on {policy.name}: {len(arrivals)} requests in {bench.seconds:g} s")
    outcomes = drive(found.family, arrivals, questions, policy, found.accuracy)
    return Run(
        load=load,
        policy=policy.name,
        rate_per_s=len(arrivals) / bench.seconds,
        attainment=attainment(outcomes, seconds=bench.seconds),
        outcomes=outcomes,
    )


def _share(run: Run) -> float:
    return run.attainment.in_time_of_accepted or 0.0


def tables(found: Comparison) -> Iterable[str]:
    """The runs, a row each, then figures with their targets; at most 80 columns."""
    yield (
        f"{found.whole}: {found.alone_ms:.1f} ms alone, {found.capacity_per_s:.1f} answers a second; "
        f"budgets {', '.join(f'{one:g}' for one in found.budgets_ms)} ms"
    )
    heads = ("per s", "accepted", "refused", "in time", "of all", "baseline", "correct")
    yield _cells("load, server", heads)
    for run in found.runs:
        yield _row(run)
    for run in found.runs:
        counts = ", ".join(f"{name} {count}" for name, count in run.attainment.variants.items())
        yield from _wrapped(f"{run.load}, {run.policy}: {counts}; {_kinds(run.attainment)}")
    yield ""
    for figure in found.figures:
        verdict = "met" if figure.met else "MISSED"
        yield f"{figure.name:<46}{figure.value:>12}{figure.target:>10}  {verdict}"


def _row(run: Run) -> str:
    one = run.attainment
    taken = (count / max(1, one.requests) for count in (one.accepted, one.refused))
    shares = (*taken, one.in_time_of_accepted, one.in_time_of_all, one.accuracy, one.score)
    return _cells(f"{run.load}, {run.policy}", (f"{run.rate_per_s:.1f}", *map(_percent, shares)))


def _cells(name: str, cells: Sequence[str]) -> str:
    widths = (7, 9, 8, 8, 8, 9, 8)
    return f"{name:<22}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _wrapped(line: str) -> Sequence[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _kinds(one: Attainment) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(one.kinds.items()))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
