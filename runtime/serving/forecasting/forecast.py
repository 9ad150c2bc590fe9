"""The candidates of a request: what each variant would cost it, as estimators predict, the queue lengthens and past
outcomes correct it, and what its answers are worth."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtime.documents.manifest import Manifest, VariantRecord
from runtime.errors import DocumentError
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Layers
from runtime.selection.candidate import Candidate
from runtime.serving.batching.listener import Finish
from runtime.serving.forecasting.accuracies import Accuracies
from runtime.serving.forecasting.drift import DECODE, FIRST_TOKEN, PARTS, Drift
from runtime.serving.forecasting.spread import Spread, margin_ms
from runtime.serving.forecasting.variant_costs import Costs, VariantCosts
from runtime.serving.forecasting.work import Ahead, Work

NOTHING = Ahead()


@dataclass(frozen=True, slots=True)
class _Learned:
    """What outcomes of one type of weights taught."""

    drift: Drift
    spread: Spread


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The candidates of a request, in the order of types and variants, with what was predicted of them by type before
    drift corrected it. `busy`: something was ahead of it."""

    work: Work
    candidates: tuple[Candidate, ...]
    costs: Mapping[str, Costs]
    busy: bool = False


class Forecaster:
    """Predicts for one family on one engine. What outcomes teach is kept apart for requests that find the engine idle
    and for those that find something ahead: a burst does not make an idle machine slower. Not for several threads."""

    def __init__(
        self,
        manifest: Manifest,
        dtypes: Sequence[str],
        accuracies: Accuracies,
        estimators: Sequence[Estimator] = (),
        *,
        engine: str,
        widen: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """One estimator a type of weights, perhaps none. Outside
        what an estimator was fitted on, its upper bounds are widened, or nothing is predicted where `widen` is false.
        By `clock`, in seconds, what was learned fades.

        Raises DocumentError for an estimator of another engine, of a type that is not served, of another number of
        experts, and for a second one of a type.
        """
        self._variants, self._dtypes, self._accuracies, self._widen = (
            manifest.variants,
            tuple(dtypes),
            accuracies,
            widen,
        )
        self._places = {variant.id: place for place, variant in enumerate(manifest.variants)}
        layers = {variant.id: layers_of(variant, manifest) for variant in manifest.variants}
        checked = _by_dtype(estimators, self._dtypes, engine, manifest)
        self._costs = {dtype: VariantCosts(estimator, layers) for dtype, estimator in checked.items()}
        self._answered: set[tuple[str, str]] = set()  # variants that are loaded and have run
        self._learned = {
            (dtype, busy): _Learned(Drift(clock=clock), Spread(quantile=costs.estimator.document.level, clock=clock))
            for dtype, costs in self._costs.items()
            for busy in (False, True)
        }

    @property
    def drift(self) -> Mapping[str, Drift]:
        """By type of weights, of those with an estimator: that of requests that found the engine idle."""
        return {dtype: self._learned[dtype, False].drift for dtype in self._costs}

    def forecast(self, work: Work, task: str | None, ahead: Mapping[str, Ahead]) -> Forecast:
        """The candidates for a request of `work` on a task; `ahead` by type of weights, whose engines share a device:
        what is ahead of one is before the others too. Raises RequestError for an unknown task."""
        found: list[Candidate] = []
        costs: dict[str, Costs] = {}
        busy = any(one.waiting or one.running for one in ahead.values())
        for dtype in self._dtypes:
            known = self._costs.get(dtype)
            if known is None:
                missing = f"there is no estimator for {dtype}"
                found += [self._candidate(one, dtype, task, None, missing) for one in self._variants]
            else:
                others = [(self._costs.get(other, known), one) for other, one in ahead.items() if other != dtype]
                costs[dtype] = known.of(work, ahead.get(dtype, NOTHING), others)
                found += self._predicted(dtype, task, work, costs[dtype], self._learned[dtype, busy])
        return Forecast(work=work, candidates=tuple(found), costs=costs, busy=busy)

    def answer_ms(self, forecast: Forecast, chosen: Candidate) -> float | None:
        """What the candidate's answer takes once its turn has come; None where nothing is predicted."""
        costs = forecast.costs.get(chosen.dtype)
        if costs is None or chosen.predicted_ms is None:
            return None
        place = self._places[chosen.variant]
        drift = self._learned[chosen.dtype, forecast.busy].drift
        first, further = (drift.ratio(part) for part in PARTS)
        return float(first * costs.first[place] + further * costs.decode[place])

    def learn(self, forecast: Forecast, chosen: Candidate, finish: Finish) -> None:
        """Learn how long the chosen candidate's answer really took: its parts, its time in the queue apart, correct
        predictions, that until the first token only where the whole prompt was read, because that is what was
        predicted; the whole widens upper bounds. A variant's first answer teaches nothing: it had to be loaded, and
        runs for the first time."""
        costs, variant = forecast.costs.get(chosen.dtype), (chosen.dtype, chosen.variant)
        if costs is None or variant not in self._answered:
            self._answered.add(variant)
            return
        place, steps = self._places[chosen.variant], forecast.work.length.mean - 1
        learned = self._learned[chosen.dtype, forecast.busy]
        drift = learned.drift
        timing, share = finish.timing, (len(finish.tokens) - 1) / steps if steps > 0 else 0.0  # of what was predicted
        wait, first, decode = (float(one[place]) for one in (costs.wait, costs.first, share * costs.decode))
        whole_ms = drift.ratio(FIRST_TOKEN) * (wait + first) + drift.ratio(DECODE) * decode
        learned.spread.observe(actual_ms=timing.total_ms, predicted_ms=whole_ms)
        if not finish.reused_tokens:
            drift.observe(FIRST_TOKEN, actual_ms=timing.first_token_ms - timing.queue_ms, predicted_ms=first)
        drift.observe(DECODE, actual_ms=timing.total_ms - timing.first_token_ms, predicted_ms=decode)

    def _predicted(
        self, dtype: str, task: str | None, work: Work, costs: Costs, learned: _Learned
    ) -> Iterator[Candidate]:
        model = self._costs[dtype]
        first, further = (learned.drift.ratio(part) for part in PARTS)
        begin = first * (costs.wait + costs.first)
        predicted = (work.spent_ms + begin + further * costs.decode).tolist()
        longest = begin + further * costs.decode_high
        outside = model.distance(work)
        distances = [max(outside, one) for one in model.distances]
        factors = {one: model.estimator.upper_factor(one) for one in set(distances)}
        own = np.array([factors[one] for one in distances]) * longest
        upper = (work.spent_ms + np.maximum(own, longest + margin_ms(learned.spread.excess, longest))).tolist()
        for variant, distance, *ms in zip(self._variants, distances, predicted, upper, strict=True):
            if distance > 0 and not self._widen:
                yield self._candidate(variant, dtype, task, None, model.why_outside(variant.id, work))
            else:
                yield self._candidate(variant, dtype, task, ms, widened=distance > 0)

    def _candidate(
        self,
        variant: VariantRecord,
        dtype: str,
        task: str | None,
        ms: Sequence[float] | None,
        unpredicted: str = "",
        *,
        widened: bool = False,
    ) -> Candidate:
        """`ms` are the predicted ones and their upper bound."""
        return Candidate(
            variant=variant.id,
            dtype=dtype,
            accuracy=self._accuracies.of(variant.id, dtype, task),
            predicted_ms=ms[0] if ms else None,
            upper_ms=ms[1] if ms else None,
            bytes=variant.bytes,
            unpredicted=unpredicted,
            widened=widened,
            active_parameters=variant.active_parameters,
            elastic=not self._accuracies.exported(variant.id),
        )


def layers_of(variant: VariantRecord, manifest: Manifest) -> Layers:
    """A variant as estimators take it."""
    top_k = variant.top_k or (None,) * len(variant.layers)
    return Layers.of(top_k, experts=manifest.source.experts or 0)


def _by_dtype(
    estimators: Sequence[Estimator], dtypes: Sequence[str], engine: str, manifest: Manifest
) -> dict[str, Estimator]:
    found: dict[str, Estimator] = {}
    for one in estimators:
        document = one.document
        if document.engine != engine or document.dtype not in dtypes:
            raise DocumentError(
                f"an estimator is for the {document.engine} engine in {document.dtype}; served is {engine} in "
                f"{', '.join(dtypes)}"
            )
        if document.experts != manifest.source.experts:
            raise DocumentError(
                f"the estimator for {document.dtype} is for layers of {document.experts} experts, the family "
                f"{manifest.source.name} has {manifest.source.experts}"
            )
        if document.dtype in found:
            raise DocumentError(f"two estimators are for {engine} in {document.dtype}; give one")
        found[document.dtype] = one
    return found
