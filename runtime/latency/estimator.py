"""Predicts milliseconds, with an upper bound, from a fitted document: plain arithmetic, no numpy, a few microseconds a
variant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runtime.documents.latency.estimator_document import (
    BATCH,
    DEPTH,
    POSITION,
    PROMPT_TOKENS,
    TOP_K,
    VISION_TOKENS,
    LatencyEstimator,
    Range,
)
from runtime.engines.stages import BEFORE_FIRST_TOKEN, DECODE, SAMPLING, STAGES
from runtime.errors import DocumentError, OutsideDomainError
from runtime.latency.terms import CALL, CallTerm, LayerTerm, call_terms, layer_terms, layer_tokens, term_names
from runtime.latency.workload import Layers, Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """Milliseconds until the first token and for the rest of the answer; `upper_ms` is not exceeded at the level that
    the estimator was calibrated for."""

    first_token_ms: float
    decode_ms: float
    upper_ms: float

    @property
    def total_ms(self) -> float:
        """The whole answer."""
        return self.first_token_ms + self.decode_ms


class Estimator:
    """A fitted document, ready to predict. Build one and keep it."""

    def __init__(self, document: LatencyEstimator) -> None:
        """Sort the terms by stage. Raises DocumentError for a stage or a term that this trimoe does not know."""
        _check_known(document)
        self.document = document
        self._call: dict[str, tuple[tuple[CallTerm, float], ...]] = {}
        self._layer: dict[tuple[str, bool], tuple[tuple[LayerTerm, float], ...]] = {}
        for model in document.stages:
            ms, stage = {term.name: term.ms for term in model.terms if term.ms > 0}, model.stage
            calls = {CALL + name: term for name, term in call_terms(stage).items()}
            self._call[stage] = tuple((calls[name], value) for name, value in ms.items() if name in calls)
            for dense in (False, True):
                layer = layer_terms(stage, dense=dense)
                self._layer[stage, dense] = tuple((layer[name], value) for name, value in ms.items() if name in layer)
        self._bounds = {model.stage: model.bound for model in document.stages}
        self._domain: Mapping[str, Range] = {one.name: one for one in document.domain}

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that it predicts."""
        return tuple(self._call)

    def stage_ms(self, stage: str, layers: Layers, load: Workload, *, position: float = 0.0) -> float:
        """One stage of a variant; for `decode` one token at `position` in the cache. 0 for a stage not fitted."""
        each = sum(count * self.layer_ms(stage, k, layers.experts, load, position) for k, count in layers.counts)
        return self.call_ms(stage, load) + each

    def bound(self, stage: str) -> float:
        """What the prediction of a stage is multiplied by for its upper bound."""
        return self._bounds[stage]

    def upper_factor(self, distance: float) -> float:
        """What the prediction of a whole answer is multiplied by for its upper bound, so far outside the measured
        domain (`distance`)."""
        return 1.0 + (self.document.bound - 1.0 + distance) * (1.0 + distance)

    def request(self, load: Workload, *, output_tokens: int, widen: bool = False) -> "RequestCosts":
        """What a request costs, for any number of variants.

        Outside the measured domain raises OutsideDomainError naming the input, its value and the limits; with `widen`
        the upper bound grows instead, in proportion to the distance.
        """
        return RequestCosts(self, load, output_tokens=output_tokens, widen=widen)

    def distance(self, values: Iterable[tuple[str, float]], *, widen: bool) -> float:
        """How far values lie outside the measured domain, as a share of its limits, the worst of them; 0 inside.

        Raises OutsideDomainError unless `widen`.
        """
        worst = 0.0
        for name, value in values:
            limits = self._domain.get(name)
            if limits is None or limits.low <= value <= limits.high:
                continue
            if not widen:
                raise OutsideDomainError(
                    f"{name} {value:g} is outside {limits.low:g}–{limits.high:g}, which the estimator was fitted on"
                )
            worst = max(worst, _excess(value, limits))
        return worst

    def call_ms(self, stage: str, load: Workload) -> float:
        """What a stage costs once a call; 0 for a stage that was not fitted."""
        terms = self._call.get(stage, ())
        if not terms:
            return 0.0
        batch, vision, prompt = float(load.batch), float(load.vision_tokens), float(load.prompt_tokens)
        return sum([ms * term(batch, vision, prompt) for term, ms in terms])

    def layer_ms(self, stage: str, k: int | None, experts: int, load: Workload, position: float) -> float:
        """What one layer with `k` experts a token adds to a stage; 0 for a stage without layers or not fitted."""
        terms = self._layer.get((stage, k is None), ())
        if not terms:
            return 0.0
        tokens, prompt, chosen = layer_tokens(stage, load), float(load.prompt_tokens), k or 0
        return sum([ms * term(tokens, prompt, position, chosen, experts) for term, ms in terms])


def _check_known(document: LatencyEstimator) -> None:
    for model in document.stages:
        if model.stage not in STAGES:
            raise DocumentError(f"the estimator has a stage {model.stage!r}; this trimoe knows {', '.join(STAGES)}")
        known = term_names(model.stage)
        for term in model.terms:
            if term.name not in known:
                raise DocumentError(f"the estimator's stage {model.stage} has an unknown term {term.name!r}")


def _excess(value: float, limits: Range) -> float:
    if value > limits.high:
        return value / limits.high - 1.0 if limits.high > 0 else 1.0
    return limits.low / value - 1.0 if value > 0 else 1.0


class RequestCosts:
    """The costs of one request, with those of a layer computed once for each number of experts."""

    def __init__(self, estimator: Estimator, load: Workload, *, output_tokens: int, widen: bool) -> None:
        """Raises OutsideDomainError as `Estimator.request` says, ValueError for less than one output token."""
        if output_tokens < 1:
            raise ValueError(f"an answer has at least one token, not {output_tokens}")
        self._estimator, self._load, self._widen = estimator, load, widen
        self._steps = output_tokens - 1
        prompt = load.prompt_tokens
        self._position = prompt + max(self._steps - 1, 0) / 2  # the mean: time is linear in the position
        asked = [(BATCH, load.batch), (VISION_TOKENS, load.vision_tokens), (PROMPT_TOKENS, prompt)]
        if self._steps:
            asked.append((POSITION, prompt + self._steps - 1))
        self._distance = estimator.distance(asked, widen=widen)
        self._first_call = sum(estimator.call_ms(stage, load) for stage in BEFORE_FIRST_TOKEN)
        self._step_call = sum(estimator.call_ms(stage, load) for stage in (DECODE, SAMPLING))
        self._first: dict[tuple[int | None, int], float] = {}
        self._step: dict[tuple[int | None, int], float] = {}

    def predict(self, layers: Layers) -> Prediction:
        """The milliseconds of one variant. Raises OutsideDomainError for a depth or k outside what was measured."""
        ks = [k for k, _ in layers.counts if k is not None]
        asked = [(DEPTH, layers.depth), *((TOP_K, k) for k in ks)]
        distance = max(self._distance, self._estimator.distance(asked, widen=self._widen))
        first, step = self._first_call, self._step_call
        for k, count in layers.counts:
            key = (k, layers.experts)
            if key not in self._first:
                self._add(key)
            first += count * self._first[key]
            step += count * self._step[key]
        decode = self._steps * step
        bound = self._estimator.upper_factor(distance)
        return Prediction(first_token_ms=first, decode_ms=decode, upper_ms=bound * (first + decode))

    def _add(self, key: tuple[int | None, int]) -> None:
        k, experts = key
        layer = self._estimator.layer_ms
        self._first[key] = sum(layer(stage, k, experts, self._load, 0.0) for stage in BEFORE_FIRST_TOKEN)
        self._step[key] = layer(DECODE, k, experts, self._load, self._position)
