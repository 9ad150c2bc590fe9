"""What each variant of one type of weights costs a request, all variants at once: sums over layers as the estimator
makes them (runtime/latency/estimator.py), each kind of layer computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from runtime.documents.latency.estimator_document import (
    BATCH,
    DEPTH,
    POSITION,
    PROMPT_TOKENS,
    TOP_K,
    VISION_TOKENS,
)
from runtime.engines.stages import DECODE, EMBEDDINGS, PREFILL, SAMPLING, VISION
from runtime.errors import OutsideDomainError
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Layers, Workload
from runtime.serving.forecasting.work import Ahead, Work

READING = (VISION, EMBEDDINGS, PREFILL, SAMPLING)  # the image is cut up before, while the request is read
TOKEN = (DECODE, SAMPLING)
FAR = 4096.0  # a position beside 0 that tells how a token's time grows with the position, which is linear
SIZES = 1024  # of prompts whose costs are kept
Array = npt.NDArray[np.float64]


class _Token(NamedTuple):
    """Milliseconds of a token: at position 0, and more for each token in the cache."""

    begin: float
    slope: float

    def at(self, position: float) -> float:
        return self.begin + self.slope * position


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Milliseconds of each variant, not corrected: waiting for prompts that came before, until its own first token, and
    for all further tokens, of an answer of the mean length and of a long one."""

    wait: Array
    first: Array
    decode: Array
    decode_high: Array


class VariantCosts:
    """The variants that an estimator is asked about, in their order."""

    def __init__(self, estimator: Estimator, variants: Mapping[str, Layers]) -> None:
        """Variants by id, of one number of experts."""
        self.estimator, self._layers = estimator, variants
        self._places = {variant: place for place, variant in enumerate(variants)}
        self._experts = next((layers.experts for layers in variants.values()), 0)
        self._kinds = list(dict.fromkeys(k for layers in variants.values() for k, _ in layers.counts))
        counts = [[dict(layers.counts).get(k, 0) for k in self._kinds] for layers in variants.values()]
        self._counts: Array = np.array(counts, dtype=np.float64)
        self._tokens: dict[tuple[str, int], _Token] = {}
        alone = [self._token(variant, 1) for variant in variants]
        self._alone: Array = np.array([one.begin for one in alone])
        self._slope: Array = np.array([one.slope for one in alone])
        self._first = lru_cache(SIZES)(self._first_of)
        self.distances = [estimator.distance(_shape(layers), widen=True) for layers in variants.values()]

    def distance(self, work: Work) -> float:
        """How far a request lies outside the estimator's domain, for any variant; 0 inside."""
        return self.estimator.distance(_asked(work), widen=True)

    def why_outside(self, variant: str, work: Work) -> str:
        """What of a request or of a variant is outside the estimator's domain, in words."""
        try:
            self.estimator.distance([*_asked(work), *_shape(self._layers[variant])], widen=False)
        except OutsideDomainError as error:
            return str(error)
        return ""

    def of(self, work: Work, ahead: Ahead, others: Sequence[tuple["VariantCosts", Ahead]] = ()) -> Costs:
        """The costs of a request behind and beside what the engine has to do already, and `others` on its device: their
        prompts are read before, their rows run in turn."""
        rows, mean, high = ahead.rows, work.length.mean - 1, work.length.high - 1
        first, position = self._first(work.load(batch=1)), _middle(work, mean)
        beside = self._beside(rows, position) + sum(costs.turn_ms(one.rows, position) for costs, one in others)
        decode = mean * (self._alone + self._slope * position + beside)
        decode_high = high * (self._alone + self._slope * _middle(work, high) + beside)
        over = max(0, sum(rows.values()) + 1 - ahead.max_rows) / ahead.max_rows
        before = self.waiting_ms(ahead) + sum(costs.waiting_ms(one) for costs, one in others)
        wait = before + over * (first + decode)
        return Costs(wait=wait, first=first, decode=decode, decode_high=decode_high)

    def _first_of(self, load: Workload) -> Array:
        """Reading prompts: requests of the same sizes come again and again."""
        layer = self.estimator.layer_ms
        kinds = [sum(layer(stage, k, self._experts, load, 0.0) for stage in READING) for k in self._kinds]
        found: Array = self._counts @ np.array(kinds) + sum(self.estimator.call_ms(stage, load) for stage in READING)
        return found

    def _beside(self, rows: Mapping[str, int], position: float) -> Array:
        """What rows that are decoded too add to each token, by the variant that it is of: those of other variants run
        in turn with it, those of its own in one batch."""
        added: Array = np.zeros(len(self._places))
        for variant, count in rows.items():
            place, before = self._places[variant], self._token(variant, count).at(position)
            added += before
            alone = self._token(variant, 1).at(position)
            added[place] += self._token(variant, count + 1).at(position) - before - alone
        return added

    def _token(self, variant: str, batch: int) -> "_Token":
        """A token of each of `batch` rows: of no request, so that it is kept."""
        found = self._tokens.get((variant, batch))
        if found is None:
            load, layers = Workload(batch=batch, vision_tokens=0, text_tokens=1), self._layers[variant]
            begin, end = (
                sum(self.estimator.stage_ms(stage, layers, load, position=position) for stage in TOKEN)
                for position in (0.0, FAR)
            )
            found = self._tokens[variant, batch] = _Token(begin=begin, slope=(end - begin) / FAR)
        return found

    def turn_ms(self, rows: Mapping[str, int], position: float) -> float:
        """A token for each of these rows, one variant after another."""
        return sum(self._token(variant, count).at(position) for variant, count in rows.items())

    def waiting_ms(self, ahead: Ahead) -> float:
        """Reading the prompts that wait, those of a variant as if they were of one length."""
        found = 0.0
        for variant, (prompts, tokens) in ahead.waiting.items():
            load = Workload(vision_tokens=0, text_tokens=max(1, tokens // prompts))
            layers = self._layers[variant]
            found += prompts * sum(self.estimator.stage_ms(stage, layers, load) for stage in READING)
        return found


def _middle(work: Work, steps: float) -> float:
    """The mean position of so many further tokens."""
    return work.text_tokens + work.vision_tokens + max(steps - 1, 0.0) / 2


def _asked(work: Work) -> list[tuple[str, float]]:
    """The inputs of a request by the names that the domain has."""
    prompt, steps = work.text_tokens + work.vision_tokens, work.length.high - 1
    asked: list[tuple[str, float]] = [(BATCH, 1), (VISION_TOKENS, work.vision_tokens), (PROMPT_TOKENS, prompt)]
    return [*asked, (POSITION, prompt + steps - 1)] if steps else asked


def _shape(layers: Layers) -> list[tuple[str, float]]:
    """The inputs of a variant by the names that the domain has."""
    return [(DEPTH, layers.depth), *((TOP_K, k) for k, _ in layers.counts if k is not None)]
