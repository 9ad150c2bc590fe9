"""Which variants another one dominates, and the accuracy of each, by tables."""

import pytest
from msgspec.structs import replace

from profiles.reports.latency.frontier import Accuracy, Contender, accuracies, beaten_by, common_datasets
from tests.support.documents import BASELINE, SCORE


def contender(name: str, ms: float, mean: float) -> Contender:
    accuracy = Accuracy(mean=mean, low=mean, high=mean)
    return Contender(variant=name, form=("onnx", "float32"), ms=ms, predicted=False, accuracy=accuracy)


@pytest.mark.parametrize(
    ("given", "dominated"),
    [
        ([("a", 1, 0.5)], {}),
        ([("a", 1, 0.5), ("b", 2, 0.6)], {}),
        ([("a", 1, 0.6), ("b", 2, 0.5)], {"b": "a"}),
        ([("a", 1, 0.6), ("b", 2, 0.6)], {"b": "a"}),
        ([("a", 1, 0.6), ("b", 1, 0.5)], {"b": "a"}),
        ([("a", 1, 0.6), ("b", 1, 0.6)], {}),
        ([("a", 1, 0.6), ("b", 2, 0.7), ("c", 3, 0.5)], {"c": "b"}),
        ([("a", 1, 0.7), ("b", 2, 0.7), ("c", 3, 0.5)], {"b": "a", "c": "a"}),
        ([], {}),
    ],
)
def test_what_is_neither_faster_nor_more_accurate_is_dominated_by_the_most_accurate(
    given: list[tuple[str, float, float]], dominated: dict[str, str]
) -> None:
    found = [contender(*one) for one in given]
    by = {one.variant: other.variant for one, other in zip(found, beaten_by(found), strict=True) if other is not None}
    assert by == dominated


def test_accuracy_is_the_mean_over_data_sets_and_independent_intervals_add_up_as_squares() -> None:
    interval = replace(SCORE.interval, low=0.8, high=0.95)
    other = replace(SCORE, dataset=replace(SCORE.dataset, name="b"), score=0.9, interval=interval)
    baseline = replace(BASELINE, scores=(SCORE, other, replace(SCORE, engine="onnx", score=0.1)))
    found = accuracies(baseline, ("torch", "float32"), ("okvqa", "b"))["b14-k4"]
    assert found.mean == pytest.approx(0.7)
    assert found.low == pytest.approx(0.7 - (0.25**2 + 0.1**2) ** 0.5 / 2)
    assert found.high == pytest.approx(0.7 + (0.25**2 + 0.05**2) ** 0.5 / 2)


def test_only_data_sets_count_that_every_variant_of_every_form_has() -> None:
    other = replace(SCORE, dataset=replace(SCORE.dataset, name="b"))
    scores = (other, SCORE, replace(SCORE, variant="b13-k4"), replace(SCORE, engine="onnx"))
    baseline = replace(BASELINE, scores=scores)
    assert common_datasets(baseline, [("torch", "float32")]) == ("okvqa",)
    assert common_datasets(baseline, [("torch", "float32"), ("onnx", "float32")]) == ("okvqa",)
    assert common_datasets(replace(BASELINE, scores=(other, SCORE)), [("torch", "float32")]) == ("b", "okvqa")
    assert common_datasets(baseline, [("onnx", "int8")]) == ()
