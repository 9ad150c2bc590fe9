"""Replay: what another family, estimator or policy would have chosen for the requests of a decision log.

Each request meets the queue that it met, whatever the policy chose before it: what a slower or quicker choice would
have done to later requests is not simulated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from runtime.documents.baseline import Baseline, read_baseline
from runtime.documents.family_digest import family_digest
from runtime.documents.latency.estimator_document import read_estimator
from runtime.documents.manifest import Manifest, read_manifest
from runtime.errors import DocumentError
from runtime.latency.estimator import Estimator
from runtime.selection.candidate import Candidate
from runtime.selection.choice import NoFeasibleVariantError
from runtime.selection.demand import Demand
from runtime.serving.answer import LENGTH, STOP
from runtime.serving.decisions.make_record import ahead_of, candidates_of, wish_of, work_of
from runtime.serving.decisions.policies import Policy, policy_of
from runtime.serving.decisions.read_log import LogReader
from runtime.serving.decisions.record import Decision, LogHeader
from runtime.serving.decisions.totals import Tally, Totals
from runtime.serving.forecasting.accuracies import Accuracies
from runtime.serving.forecasting.chooser import demand_of
from runtime.serving.forecasting.forecast import Forecaster
from runtime.serving.forecasting.lengths import Lengths
from runtime.serving.forecasting.work import Ahead

LOGGED = "as logged"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayRequest:
    """Whose choices: a family with estimators (none: the predictions that were logged) and a baseline (None: the
    accuracies that were logged, with estimators the evidence's), by which policies. `quantile` has the length of
    answers learned anew from the outcomes, in their order; None takes the lengths that were logged."""

    manifest: Manifest
    policies: tuple[str, ...]
    estimators: tuple[Estimator, ...] = ()
    baseline: Baseline | None = None
    quantile: float | None = None


def read_request(
    family: Path,
    estimators: Sequence[Path],
    baseline: Path | None,
    policies: Sequence[str],
    *,
    quantile: float | None,
) -> ReplayRequest:
    """The request for these files. Raises DocumentError for what they are not, and for a quantile without an
    estimator, which alone can use it."""
    if quantile is not None and not estimators:
        raise DocumentError("a quantile of the length changes predictions: give an estimator too")
    return ReplayRequest(
        manifest=read_manifest(family),
        policies=tuple(policies),
        estimators=tuple(Estimator(read_estimator(path)) for path in estimators),
        baseline=None if baseline is None else read_baseline(baseline),
        quantile=quantile,
    )


class _Predicted:
    """Candidates of a family, forecast anew, without drift: that belongs to the machine that served."""

    def __init__(self, request: ReplayRequest) -> None:
        engine, dtypes = request.estimators[0].document.engine, [one.document.dtype for one in request.estimators]
        self._accuracies = Accuracies(request.manifest, request.baseline, engine=engine)
        self._forecaster = Forecaster(request.manifest, dtypes, self._accuracies, request.estimators, engine=engine)
        self._lengths = None if request.quantile is None else Lengths(quantile=request.quantile)
        self._ids = [variant.id for variant in request.manifest.variants]
        self.names = [(variant, dtype) for dtype in dtypes for variant in self._ids]

    def of(self, decision: Decision) -> Sequence[Candidate]:
        """The candidates of a request. Raises RequestError for a task that the baseline does not have."""
        task, outcome = decision.wish.task, decision.outcome
        length = None if self._lengths is None else self._lengths.expect(task, decision.work.cap)
        ahead = {dtype: self._renamed(ahead_of(record)) for dtype, record in decision.ahead.items()}
        found = self._forecaster.forecast(work_of(decision.work, length), task, ahead).candidates
        if self._lengths is not None and outcome is not None and _tells_length(outcome.reason, decision):
            self._lengths.learn(task, outcome.tokens, cut=outcome.reason == LENGTH)
        return found

    def _renamed(self, ahead: Ahead) -> Ahead:
        """The queue; variants that this family does not have count as its first one."""
        if not (ahead.waiting.keys() | ahead.running.keys()) - set(self._ids):
            return ahead
        waiting: dict[str, tuple[int, int]] = {}
        running: dict[str, int] = {}
        for variant, (prompts, tokens) in ahead.waiting.items():
            known = variant if variant in self._ids else self._ids[0]
            before = waiting.get(known, (0, 0))
            waiting[known] = (before[0] + prompts, before[1] + tokens)
        for variant, rows in ahead.running.items():
            known = variant if variant in self._ids else self._ids[0]
            running[known] = running.get(known, 0) + rows
        return Ahead(waiting=waiting, running=running, max_rows=ahead.max_rows)


def _tells_length(reason: str, decision: Decision) -> bool:
    """As when it was served (runtime/serving/forecasting/chooser.py): what its client's own texts may have ended says
    nothing of its task."""
    return reason == LENGTH or (reason == STOP and not decision.stop_texts)


class _Recorded:
    """Candidates as they were logged, with the accuracies of a baseline where there is one."""

    def __init__(self, request: ReplayRequest, header: LogHeader) -> None:
        self._manifest = request.manifest
        baseline = request.baseline
        self._accuracies = None if baseline is None else Accuracies(self._manifest, baseline, engine=header.engine)
        self.names = [(variant.id, dtype) for dtype in header.dtypes for variant in self._manifest.variants]

    def of(self, decision: Decision) -> Sequence[Candidate]:
        """The candidates of a request. Raises RequestError for a task that the baseline does not have."""
        found = candidates_of(decision.candidates, self._manifest)
        if self._accuracies is None:
            return found
        known = [self._accuracies.of(one.variant, one.dtype, decision.wish.task) for one in found]
        return [structs.replace(one, accuracy=accuracy) for one, accuracy in zip(found, known, strict=True)]


def replay(paths: Sequence[Path], request: ReplayRequest) -> tuple[Totals, ...]:
    """What was chosen for the requests of these logs, then what each policy would have chosen.

    Raises DocumentError for what is no log, for logs of different families, for another family than `request`'s without
    an estimator, and for unknown policies, RequestError for unknown tasks.
    """
    logs = [LogReader(path) for path in paths]
    header = _one_header(logs, paths)
    if not request.estimators:
        _check_same(header, request.manifest)
    source = _Predicted(request) if request.estimators else _Recorded(request, header)
    policies = [(policy_of(name, source.names), Tally(policy=name)) for name in request.policies]
    logged = Tally(policy=LOGGED)
    for log in logs:
        for decision in log:
            demand = demand_of(wish_of(decision.wish))
            _count_logged(logged, decision, demand)
            candidates = source.of(decision)
            for policy, tally in policies:
                _count(tally, policy, candidates, demand)
    return tuple(tally.totals() for tally in (logged, *(tally for _, tally in policies)))


def _one_header(logs: Sequence[LogReader], paths: Sequence[Path]) -> LogHeader:
    first = logs[0].header
    for log, path in zip(logs, paths, strict=True):
        if (log.header.digest, log.header.engine) != (first.digest, first.engine):
            raise DocumentError(
                f"{path}: of the family {log.header.family} {log.header.digest[:12]} with {log.header.engine}; "
                f"{paths[0]} is of {first.family} {first.digest[:12]} with {first.engine}: replay them one by one"
            )
    return first


def _check_same(header: LogHeader, manifest: Manifest) -> None:
    found = family_digest(manifest.files, manifest.variants)
    if found != header.digest:
        raise DocumentError(
            f"the log is of the family {header.family} {header.digest[:12]}, this one is {manifest.source.name} "
            f"{found[:12]}: its times were not predicted, give an estimator for it"
        )


def _count(tally: Tally, policy: Policy, candidates: Sequence[Candidate], demand: Demand) -> None:
    try:
        tally.answer(policy(candidates, demand), demand)
    except NoFeasibleVariantError:
        tally.refuse(demand)


def _count_logged(tally: Tally, decision: Decision, demand: Demand) -> None:
    if decision.chosen is None:
        tally.refuse(demand)
    else:
        tally.happened(decision.candidates[decision.chosen], demand, decision.outcome)
