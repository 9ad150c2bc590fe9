"""Predictions from a document: sums over layers and positions, the measured domain, the upper bound."""

import subprocess
import sys

import pytest
from msgspec.structs import replace

from runtime.documents.latency.estimator_document import HeldOut, LatencyEstimator, Range, StageModel, Term
from runtime.errors import DocumentError, OutsideDomainError
from runtime.latency.estimator import Estimator
from runtime.latency.terms import experts_hit
from runtime.latency.workload import Layers, Workload


def stage(name: str, **terms: float) -> StageModel:
    return StageModel(
        stage=name,
        points=10,
        bound=1.1,
        terms=tuple(Term(name=key.replace("call_", "call."), ms=ms) for key, ms in terms.items()),
        held_out=(HeldOut(by="variant", groups=2, points=10, mape=0.01, coverage=0.9),),
    )


DOCUMENT = LatencyEstimator(
    trimoe="0",
    device="d",
    engine="onnx",
    dtype="float32",
    experts=64,
    level=0.9,
    bound=1.2,
    stages=(
        stage("vision", call_call=5.0, call_vision_tokens=0.1),
        stage("prefill", call_call=1.0, layer=0.5, expert_tokens=0.01),
        stage("sampling", call_rows=0.25),
        stage("decode", layer=0.1, cache=0.001, experts_hit=0.01),
    ),
    held_out=(),
    domain=(
        Range(name="batch", low=1, high=4),
        Range(name="prompt_tokens", low=10, high=1000),
        Range(name="depth", low=12, high=16),
        Range(name="top_k", low=2, high=8),
    ),
    sources=(),
)
LAYERS = Layers.of((8, 4, 4), experts=64)
DEEP = Layers.of((8, *(4,) * 11), experts=64)


def test_a_stage_is_what_its_call_costs_and_the_sum_over_its_layers() -> None:
    estimator, load = Estimator(DOCUMENT), Workload(batch=2, vision_tokens=100, text_tokens=20)
    assert estimator.stage_ms("vision", LAYERS, load) == pytest.approx(5 + 0.1 * 200)
    assert estimator.stage_ms("prefill", LAYERS, load) == pytest.approx(1 + 3 * 0.5 + 0.01 * 240 * (8 + 4 + 4))
    hit = experts_hit(2, 8, 64) + 2 * experts_hit(2, 4, 64)
    assert estimator.stage_ms("decode", LAYERS, load, position=50) == pytest.approx(0.3 + 0.001 * 300 + 0.01 * hit)
    assert estimator.stage_ms("embeddings", LAYERS, load) == 0


def test_an_answer_is_its_first_token_and_a_step_for_each_further_one() -> None:
    estimator, load = Estimator(DOCUMENT), Workload(vision_tokens=0, text_tokens=40)
    found = estimator.request(load, output_tokens=10).predict(DEEP)
    first = estimator.stage_ms("prefill", DEEP, load) + 0.25
    rest = sum(estimator.stage_ms("decode", DEEP, load, position=40 + step) + 0.25 for step in range(9))
    assert found.first_token_ms == pytest.approx(first)
    assert found.decode_ms == pytest.approx(rest)
    assert found.upper_ms == pytest.approx(1.2 * (first + rest))
    assert estimator.request(load, output_tokens=1).predict(DEEP).decode_ms == 0


def test_a_prompt_without_an_image_has_no_vision_stage() -> None:
    load = Workload(vision_tokens=0, text_tokens=40)
    assert Estimator(DOCUMENT).stage_ms("vision", LAYERS, load) == 0


def test_the_order_of_layers_and_which_blocks_they_are_do_not_count() -> None:
    assert Layers.of((8, 2, 4, 2), experts=64) == Layers.of((2, 2, 4, 8), experts=64)
    assert Layers.of((None, 4, None), experts=64).counts == ((None, 2), (4, 1))


@pytest.mark.parametrize(
    ("load", "layers", "message"),
    [
        (Workload(batch=8, vision_tokens=0, text_tokens=40), DEEP, "batch 8 is outside 1–4"),
        (Workload(vision_tokens=900, text_tokens=200), DEEP, "prompt_tokens 1100 is outside 10–1000"),
        (Workload(vision_tokens=0, text_tokens=5), DEEP, "prompt_tokens 5 is outside 10–1000"),
        (Workload(vision_tokens=0, text_tokens=40), LAYERS, "depth 3 is outside 12–16"),
        (Workload(vision_tokens=0, text_tokens=40), Layers.of((1,) * 12, experts=64), "top_k 1 is outside 2–8"),
    ],
)
def test_outside_what_was_measured_it_refuses_or_widens_the_bound(load: Workload, layers: Layers, message: str) -> None:
    estimator = Estimator(DOCUMENT)
    with pytest.raises(OutsideDomainError, match=message):
        estimator.request(load, output_tokens=2).predict(layers)
    wide = estimator.request(load, output_tokens=2, widen=True).predict(layers)
    assert wide.upper_ms > 1.2 * wide.total_ms


def test_the_bound_grows_with_the_distance() -> None:
    estimator = Estimator(DOCUMENT)
    ratios = []
    for text in (1000, 1200, 2000, 8000):
        load = Workload(vision_tokens=0, text_tokens=text)
        found = estimator.request(load, output_tokens=2, widen=True).predict(DEEP)
        ratios.append(found.upper_ms / found.total_ms)
    assert ratios[0] == pytest.approx(1.2)
    assert ratios == sorted(set(ratios))


def test_an_answer_has_at_least_one_token() -> None:
    with pytest.raises(ValueError, match="at least one token, not 0"):
        Estimator(DOCUMENT).request(Workload(vision_tokens=0, text_tokens=40), output_tokens=0)


def test_a_stage_or_a_term_that_nobody_knows_is_refused() -> None:
    with pytest.raises(DocumentError, match="a stage 'thinking'; this trimoe knows image, vision"):
        Estimator(replace(DOCUMENT, stages=(stage("thinking", layer=1.0),)))
    with pytest.raises(DocumentError, match="stage prefill has an unknown term 'cache'"):
        Estimator(replace(DOCUMENT, stages=(stage("prefill", cache=1.0),)))


def test_predicting_needs_no_numpy() -> None:
    code = "import sys, runtime.latency.estimator; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
