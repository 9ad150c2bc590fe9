"""The demo's committed baseline: complete, of these samples and these definitions, and the same in both formats."""

from functools import cache

import pytest

from profiles.accuracy.evaluation.evaluate import score_answers
from profiles.accuracy.evaluation.results import Results, recorded_results
from profiles.datasets.dataset import Dataset
from profiles.datasets.digits.dataset import DEMO_TASKS, demo_dataset
from profiles.sample import digest_samples
from runtime.documents.baseline import ScoreRecord, read_baseline
from tests.support.paths import DEMO

FILE = DEMO / "baseline.json"
BASELINE = read_baseline(FILE)
FORMS = (("torch", "float32"), ("onnx", "float32"), ("onnx", "int8"), ("onnx", "int4"))
DROPS = {"int8": 0.005, "int4": 0.015}


@cache
def dataset(name: str) -> Dataset:
    return demo_dataset(name)


def scores(engine: str, dtype: str) -> dict[tuple[str, str], ScoreRecord]:
    return {
        (score.variant, score.dataset.name): score
        for score in BASELINE.scores
        if (score.engine, score.dtype) == (engine, dtype)
    }


def results(score: ScoreRecord) -> Results:
    return recorded_results(score, FILE.parent)


@pytest.mark.parametrize(("engine", "dtype"), FORMS)
def test_every_variant_is_measured_on_every_task_in_every_form(engine: str, dtype: str) -> None:
    found = scores(engine, dtype)
    assert {name for _, name in found} == set(DEMO_TASKS)
    assert {variant for variant, _ in found} == {f"b{blocks}-k{k}" for blocks in range(12, 17) for k in (4, 6, 8)}
    assert len(found) == 75


@pytest.mark.parametrize("name", DEMO_TASKS)
def test_it_was_measured_on_these_samples_by_the_demos_metrics(name: str) -> None:
    score = scores("torch", "float32")["b16-k8", name]
    assert score.dataset.digest == digest_samples(dataset(name).samples)
    assert score.definition.metric == dataset(name).settings.metric
    assert score.decoding.prompt == dataset(name).settings.prompt


@pytest.mark.parametrize("name", DEMO_TASKS)
def test_scores_follow_from_the_answers_that_are_kept(name: str) -> None:
    for variant in ("b16-k8", "b12-k4"):
        score = scores("torch", "float32")[variant, name]
        kept = results(score)
        assert score_answers(dataset(name), kept.answers) == kept
        assert score.score == pytest.approx(sum(kept.scores) / len(kept.scores), abs=1e-12)


def test_both_formats_give_the_same_answers_on_nearly_every_sample() -> None:
    graphs = scores("onnx", "float32")
    for key, score in scores("torch", "float32").items():
        pairs = list(zip(results(score).answers, results(graphs[key]).answers, strict=True))
        assert sum(one == other for one, other in pairs) >= 0.995 * len(pairs), key


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_quantised_weights_cost_little_on_any_task_of_any_variant(dtype: str) -> None:
    graphs = scores("onnx", dtype)
    for key, score in scores("torch", "float32").items():
        assert graphs[key].score >= score.score - DROPS[dtype], key
