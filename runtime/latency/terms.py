"""The terms whose weighted sum is a stage's time: what a machine does, counted from the shapes alone.

A term is counted once a call or once a layer. Weights that are read (`experts_hit`) and arithmetic (`expert_tokens`)
are separate terms, because the first is what one token at a time waits for and the second what a long prompt waits
for. Terms with a number in their name let the rate change with the size, as kernels and caches do: `tokens_64` counts
tokens, at most 64; `vision_tokens_over_64` those above 64. All coefficients are at least zero, so that more work never
takes less time.
"""

from collections.abc import Callable, Mapping

from runtime.engines.stages import DECODE, EMBEDDINGS, IMAGE, PREFILL, SAMPLING, VISION
from runtime.latency.workload import Layers, Workload

CALL = "call."  # begins the names of terms that count once a call
ROWS_CAPS = (2, 8)
TOKENS_CAPS = tuple(2**power for power in range(4, 12))
VISION_CAPS = tuple(2**power for power in range(3, 12))

CallTerm = Callable[[float, float, float], float]
"""Of a batch of so many rows, with so many tokens of images and of the whole prompt in each."""
LayerTerm = Callable[[float, float, float, float, float], float]
"""Of `tokens` that pass the layer, in prompts of so many, at a position in the cache (the tokens before the one that is
decoded), each to `k` of `experts`; both 0 for a dense layer."""


def experts_hit(tokens: float, k: float, experts: float) -> float:
    """The expected number of experts that at least one of `tokens` tokens goes to, each to `k` of `experts`, were they
    chosen evenly: experts · (1 − (1 − k / experts)^tokens)."""
    missed: float = (1.0 - k / experts) ** tokens
    return experts * (1.0 - missed)


def _rows_up_to(cap: float) -> CallTerm:
    return lambda batch, vision, prompt: batch if batch < cap else cap


def _vision_up_to(cap: float) -> CallTerm:
    """Caps count for every row."""
    return lambda batch, vision, prompt: batch * (vision if vision < cap else cap)


def _vision_over(cap: float) -> CallTerm:
    return lambda batch, vision, prompt: batch * (vision - cap) if vision > cap else 0.0


def _tokens_up_to(cap: float) -> LayerTerm:
    return lambda tokens, prompt, position, k, experts: tokens if tokens < cap else cap


def _expert_tokens_up_to(cap: float) -> LayerTerm:
    return lambda tokens, prompt, position, k, experts: k * (tokens if tokens < cap else cap)


_CALL: Mapping[str, CallTerm] = {
    "call": lambda batch, vision, prompt: 1.0,
    "rows": lambda batch, vision, prompt: batch,
}
_IMAGE_CALL: Mapping[str, CallTerm] = {
    "call": lambda batch, vision, prompt: 1.0 if vision else 0.0,
    "rows": lambda batch, vision, prompt: batch if vision else 0.0,
    "row_vision_tokens": lambda batch, vision, prompt: vision,
    "vision_tokens": lambda batch, vision, prompt: batch * vision,
    **{f"vision_tokens_{cap}": _vision_up_to(cap) for cap in VISION_CAPS},
    **{f"vision_tokens_over_{cap}": _vision_over(cap) for cap in VISION_CAPS},
}
_EMBEDDINGS_CALL: Mapping[str, CallTerm] = {
    **_CALL,
    "without_image": lambda batch, vision, prompt: 0.0 if vision else 1.0,  # no vision tower has warmed up for it
    "prompt_tokens": lambda batch, vision, prompt: prompt,
    "tokens": lambda batch, vision, prompt: batch * prompt,
}
_SAMPLING_CALL: Mapping[str, CallTerm] = {**_CALL, **{f"rows_{cap}": _rows_up_to(cap) for cap in ROWS_CAPS}}
_CALL_TERMS: Mapping[str, Mapping[str, CallTerm]] = {
    IMAGE: _IMAGE_CALL,
    VISION: _IMAGE_CALL,
    EMBEDDINGS: _EMBEDDINGS_CALL,
    SAMPLING: _SAMPLING_CALL,
}

_PREFILL_LAYER: Mapping[str, LayerTerm] = {
    "layer": lambda tokens, prompt, position, k, experts: 1.0,
    "tokens": lambda tokens, prompt, position, k, experts: tokens,
    "token_pairs": lambda tokens, prompt, position, k, experts: tokens * prompt,
    **{f"tokens_{cap}": _tokens_up_to(cap) for cap in TOKENS_CAPS},
}
_PREFILL_EXPERTS = {f"expert_tokens_{cap}": _expert_tokens_up_to(cap) for cap in TOKENS_CAPS}
_DECODE_LAYER: Mapping[str, LayerTerm] = {
    "layer": lambda tokens, prompt, position, k, experts: 1.0,
    "rows": lambda tokens, prompt, position, k, experts: tokens,
    "position": lambda tokens, prompt, position, k, experts: position,
    "cache": lambda tokens, prompt, position, k, experts: tokens * position,
    **{f"rows_{cap}": _tokens_up_to(cap) for cap in ROWS_CAPS},
}
_EXPERTS: Mapping[str, LayerTerm] = {
    "experts_hit": lambda tokens, prompt, position, k, experts: experts_hit(tokens, k, experts),
    "expert_tokens": lambda tokens, prompt, position, k, experts: tokens * k,
}
_DENSE: Mapping[str, LayerTerm] = {
    "dense_layer": lambda tokens, prompt, position, k, experts: 1.0,
    "dense_tokens": lambda tokens, prompt, position, k, experts: tokens,
}
_LAYER_TERMS: Mapping[tuple[str, bool], Mapping[str, LayerTerm]] = {
    (PREFILL, False): {**_PREFILL_LAYER, **_PREFILL_EXPERTS, **_EXPERTS},
    (PREFILL, True): {**_PREFILL_LAYER, **_DENSE},
    (DECODE, False): {**_DECODE_LAYER, **_EXPERTS},
    (DECODE, True): {**_DECODE_LAYER, **_DENSE},
}


def call_terms(stage: str) -> Mapping[str, CallTerm]:
    """The terms that a stage has once a call, by name."""
    return _CALL_TERMS.get(stage, _CALL)


def layer_terms(stage: str, *, dense: bool) -> Mapping[str, LayerTerm]:
    """The terms that each layer adds to a stage, by name."""
    return _LAYER_TERMS.get((stage, dense), {})


def layer_tokens(stage: str, load: Workload) -> float:
    """How many tokens pass a layer in a call of the stage: a new one of each row, or the prompts."""
    return float(load.batch if stage == DECODE else load.batch * load.prompt_tokens)


def term_names(stage: str) -> frozenset[str]:
    """The names of all terms that a stage may have."""
    of_layers = (*layer_terms(stage, dense=False), *layer_terms(stage, dense=True))
    return frozenset((*(f"{CALL}{name}" for name in call_terms(stage)), *of_layers))


def terms_of(stage: str, load: Workload, position: float, layers: Layers) -> dict[str, float]:
    """All terms of a stage for a variant: those of the call (named `call.…`) and the sums over its layers."""
    prompt, tokens = float(load.prompt_tokens), layer_tokens(stage, load)
    found = {
        f"{CALL}{name}": term(float(load.batch), float(load.vision_tokens), prompt)
        for name, term in call_terms(stage).items()
    }
    for k, count in layers.counts:
        for name, term in layer_terms(stage, dense=k is None).items():
            value = term(tokens, prompt, position, k or 0, layers.experts)
            found[name] = found.get(name, 0.0) + count * value
    return found
