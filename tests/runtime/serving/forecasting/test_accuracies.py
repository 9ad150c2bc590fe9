"""Accuracies by task: from a baseline, its data sets together; else from the evidence."""

import math

import pytest
from msgspec.structs import replace

from runtime.documents.baseline import Baseline, IntervalRecord, ScoreRecord
from runtime.documents.family_digest import family_digest
from runtime.documents.manifest import DropRecord, Manifest
from runtime.errors import DocumentError, RequestError
from runtime.selection.candidate import Accuracy
from runtime.serving.forecasting.accuracies import Accuracies
from tests.support.documents import BASELINE, SCORE
from tests.support.documents import MANIFEST as DOCUMENT

PRUNED = replace(DOCUMENT.variants[0], id="b2-k4", top_k=(4, 4), drop=DropRecord(mean=0.1, std=0.02, datasets=("a",)))
WHOLE = replace(PRUNED, id="b3-k4", layers=(0, 1, 2), removed=(), top_k=(4, 4, 4), drop=None)
MANIFEST = replace(DOCUMENT, variants=(WHOLE, PRUNED))


def scored(variant: str, dataset: str, task: str, score: float, low: float, **more: str) -> ScoreRecord:
    interval = IntervalRecord(level=0.95, low=low, high=1.0, resamples=10, seed=0)
    named = replace(SCORE.dataset, name=dataset, task=task)
    definition = replace(SCORE.definition, metric=more.pop("metric", SCORE.definition.metric))
    fields = {"engine": "onnx", **more}
    return replace(
        SCORE, variant=variant, dataset=named, score=score, interval=interval, definition=definition, **fields
    )


def baseline(*scores: ScoreRecord, manifest: Manifest = MANIFEST) -> Baseline:
    digest = family_digest(manifest.files, manifest.variants)
    return replace(BASELINE, family=replace(BASELINE.family, digest=digest), scores=scores)


def accuracies(*scores: ScoreRecord) -> Accuracies:
    return Accuracies(MANIFEST, baseline(*scores), engine="onnx")


FULL = tuple(
    scored(variant, dataset, task, score, low)
    for variant, less in (("b3-k4", 0.0), ("b2-k4", 0.2))
    for dataset, task, score, low in (
        ("okvqa", "vqa", 0.6 - less, 0.56 - less),
        ("textvqa", "vqa", 0.8 - less, 0.77 - less),
        ("count", "counting", 0.5 - less, 0.4 - less),
    )
)


def test_data_sets_of_a_task_count_alike_and_their_intervals_combine() -> None:
    found = accuracies(*FULL).of("b3-k4", "float32", "vqa")
    assert found is not None and found.measured
    assert found.score == pytest.approx(0.7)
    assert found.low == pytest.approx(0.7 - math.hypot(0.04, 0.03) / 2)


def test_a_task_may_be_a_data_set_or_all_of_them() -> None:
    known = accuracies(*FULL)
    assert known.tasks == ("vqa", "counting", "okvqa", "textvqa", "count")
    assert known.of("b2-k4", "float32", "count") == Accuracy(score=0.3, low=pytest.approx(0.2), measured=True)
    everything = known.of("b2-k4", "float32", None)
    assert everything is not None and everything.score == pytest.approx((0.5 + 0.3) / 2)


def test_an_unknown_task_is_refused_by_the_names_there_are() -> None:
    with pytest.raises(RequestError, match="no task 'reading' in the baseline; it has vqa, counting, okvqa"):
        accuracies(*FULL).of("b3-k4", "float32", "reading")


def test_scores_out_of_ten_become_shares_and_others_must_be_shares() -> None:
    captions = scored("b3-k4", "coco", "captioning", 8.5, 8.0, metric="cider/words")
    assert accuracies(captions).of("b3-k4", "float32", "coco") == Accuracy(score=0.85, low=0.8, measured=True)
    with pytest.raises(DocumentError, match=r"has the score 8.5 of b3-k4 on coco by em/molmo: expected 0–1"):
        accuracies(scored("b3-k4", "coco", "captioning", 8.5, 8.0, metric="em/molmo"))


def test_the_engine_that_serves_counts_before_the_other_one() -> None:
    both = [scored("b3-k4", "okvqa", "vqa", score, 0.1, engine=name) for name, score in (("onnx", 0.5), ("torch", 0.6))]
    found = [
        Accuracies(MANIFEST, baseline(*both), engine=name).of("b3-k4", "float32", "vqa") for name in ("onnx", "torch")
    ]
    assert [one.score for one in found if one] == [0.5, 0.6]


def test_what_was_not_measured_is_the_whole_models_score_less_the_drop() -> None:
    known = accuracies(*(one for one in FULL if one.variant == "b3-k4"))
    assert known.of("b2-k4", "float32", "count") == Accuracy(
        score=pytest.approx(0.4), low=pytest.approx(0.36), measured=False
    )
    unmeasured = Accuracies(MANIFEST, None, engine="onnx")
    assert unmeasured.tasks == ()
    assert unmeasured.of("b2-k4", "int8", "any") == Accuracy(score=0.9, low=pytest.approx(0.86), measured=False)
    assert unmeasured.of("b3-k4", "int8", None) == Accuracy(score=1.0, low=1.0, measured=False)


def test_a_variant_measured_on_some_data_sets_of_a_task_only_is_not_compared_on_them() -> None:
    known = accuracies(*(one for one in FULL if (one.variant, one.dataset.name) != ("b2-k4", "textvqa")))
    found = known.of("b2-k4", "float32", "vqa")
    assert found is not None and not found.measured


def test_removed_blocks_without_evidence_have_no_accuracy() -> None:
    bare = replace(MANIFEST, variants=(WHOLE, replace(PRUNED, drop=None)))
    assert Accuracies(bare, None, engine="onnx").of("b2-k4", "float32", None) is None


def test_a_baseline_of_another_family_is_refused() -> None:
    other = baseline(*FULL, manifest=replace(MANIFEST, variants=(WHOLE,)))
    with pytest.raises(DocumentError, match=r"the baseline measures the family demo .*: measure it with `trimoe eval`"):
        Accuracies(MANIFEST, other, engine="onnx")
