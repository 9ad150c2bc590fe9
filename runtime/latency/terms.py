"""The terms whose weighted sum is a stage's time: what a machine does, counted from the shapes alone.

A term is counted once a call or once a layer. Weights that are read (`experts_hit`) and arithmetic (`expert_tokens`)
are separate terms, because the first is what one token at a time waits for and the second what a long prompt waits
for. Terms with a number in their name let the rate change with the size, as kernels and caches do: `tokens_64` counts
tokens, at most 64; `vision_tokens_over_64` those above 64. All coefficients are at least zero, so that more work never
takes less time.
"""

from collections.abc import Callable

from runtime.engines.stages import DECODE, EMBEDDINGS, IMAGE, PREFILL, SAMPLING, VISION
from runtime.latency.workload import Layers, Workload

CALL = "call."  # begins the names of terms that count once a call
ROWS_CAPS = (2, 8)
TOKENS_CAPS = tuple(2**power for power in range(4, 12))
VISION_CAPS = tuple(2**power for power in range(3, 12))

CallTerms = Callable[[Workload], dict[str, float]]
LayerTerms = Callable[[int | None, int, Workload, float], dict[str, float]]


def experts_hit(tokens: float, k: int, experts: int) -> float:
    """The expected number of experts that at least one of `tokens` tokens goes to, each to `k` of `experts`, were they
    chosen evenly: experts · (1 − (1 − k / experts)^tokens)."""
    missed: float = (1.0 - k / experts) ** tokens
    return experts * (1.0 - missed)


def call_terms(stage: str, load: Workload) -> dict[str, float]:
    """The terms that a stage has once a call, by name."""
    batch, prompt = float(load.batch), float(load.prompt_tokens)
    if stage in (IMAGE, VISION):
        return _image_terms(batch, float(load.vision_tokens))
    if stage == EMBEDDINGS:
        unseen = 0.0 if load.vision_tokens else 1.0  # a call that no vision tower has warmed up for
        terms = {"call": 1.0, "rows": batch, "without_image": unseen}
        return terms | {"prompt_tokens": prompt, "tokens": batch * prompt}
    terms = {"call": 1.0, "rows": batch}
    return terms | {f"rows_{cap}": min(batch, cap) for cap in ROWS_CAPS} if stage == SAMPLING else terms


def _image_terms(batch: float, tokens: float) -> dict[str, float]:
    """`tokens` are those of one row; their caps count for every row."""
    seen = 1.0 if tokens else 0.0
    terms = {"call": seen, "rows": seen * batch, "row_vision_tokens": tokens, "vision_tokens": batch * tokens}
    terms |= {f"vision_tokens_{cap}": batch * min(tokens, cap) for cap in VISION_CAPS}
    return terms | {f"vision_tokens_over_{cap}": batch * max(0.0, tokens - cap) for cap in VISION_CAPS}


def layer_terms(stage: str, k: int | None, experts: int, load: Workload, position: float) -> dict[str, float]:
    """The terms that each layer with `k` experts a token adds (k None: a dense layer); `position` is the number of
    tokens in the cache before the token that is decoded.
    """
    if stage == PREFILL:
        return _prefill_terms(k, experts, load)
    return _decode_terms(k, experts, load, position) if stage == DECODE else {}


def _prefill_terms(k: int | None, experts: int, load: Workload) -> dict[str, float]:
    tokens = float(load.batch * load.prompt_tokens)
    terms = {"layer": 1.0, "tokens": tokens, "token_pairs": tokens * load.prompt_tokens}
    terms |= {f"tokens_{cap}": min(tokens, cap) for cap in TOKENS_CAPS}
    if k is not None:
        terms |= {f"expert_tokens_{cap}": k * min(tokens, cap) for cap in TOKENS_CAPS}
    return terms | _expert_terms(k, experts, tokens)


def _decode_terms(k: int | None, experts: int, load: Workload, position: float) -> dict[str, float]:
    rows = float(load.batch)
    terms = {"layer": 1.0, "rows": rows, "position": position, "cache": rows * position}
    terms |= {f"rows_{cap}": min(rows, cap) for cap in ROWS_CAPS}
    return terms | _expert_terms(k, experts, rows)


def _expert_terms(k: int | None, experts: int, tokens: float) -> dict[str, float]:
    if k is None:
        return {"dense_layer": 1.0, "dense_tokens": tokens}
    return {"experts_hit": experts_hit(tokens, k, experts), "expert_tokens": tokens * k}


def term_names(stage: str) -> frozenset[str]:
    """The names of all terms that a stage may have."""
    load = Workload(vision_tokens=1, text_tokens=1)
    return frozenset(terms_of(stage, load, 1.0, Layers.of((1, None), experts=1)))


def terms_of(stage: str, load: Workload, position: float, layers: Layers) -> dict[str, float]:
    """All terms of a stage for a variant: those of the call (named `call.…`) and the sums over its layers."""
    found = {f"{CALL}{name}": value for name, value in call_terms(stage, load).items()}
    for k, count in layers.counts:
        for name, value in layer_terms(stage, k, layers.experts, load, position).items():
            found[name] = found.get(name, 0.0) + count * value
    return found
