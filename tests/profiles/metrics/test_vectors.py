"""Scores equal those that reference implementations gave, recorded in tests/data/metrics."""

import json
import shutil
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.metrics.anls import anls
from profiles.metrics.anls_lmms import anls_lmms
from profiles.metrics.choice import multiple_choice
from profiles.metrics.choice_study import multiple_choice_study
from profiles.metrics.cider import cider_scores
from profiles.metrics.exact import exact_match
from profiles.metrics.normalisation.ptb import find_ptb_tokenizer, ptb_tokenize
from profiles.metrics.vqa import vqa_score
from profiles.metrics.vqa_lmms import normalize_textvqa, normalize_vqav2, vqa_score_textvqa, vqa_score_vqav2
from tests.support.paths import TEST_DATA

FOLDER = TEST_DATA / "metrics"
ANSWERED = {
    "vqa_score_molmo": vqa_score,
    "vqa_score_lmms-textvqa": vqa_score_textvqa,
    "vqa_score_lmms-vqav2": vqa_score_vqav2,
    "anls_molmo": anls,
    "anls_lmms": anls_lmms,
    "em_molmo": exact_match,
}
words = st.text(alphabet="abc .,'?-\nİß1", max_size=12)


def cases(name: str) -> list[dict]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["cases"]


def ptb_is_here() -> bool:
    import importlib.util

    return shutil.which("java") is not None and importlib.util.find_spec("pycocoevalcap") is not None


@pytest.mark.parametrize("name", ANSWERED)
def test_scores_of_answers_equal_the_reference_implementation(name: str) -> None:
    for case in cases(name):
        assert ANSWERED[name](case["answers"], case["prediction"]) == pytest.approx(case["score"], abs=1e-9), case


@pytest.mark.parametrize(("name", "function"), [("mc_molmo", multiple_choice), ("mc_study", multiple_choice_study)])
def test_scores_of_choices_equal_the_reference_implementation(
    name: str, function: Callable[[list[str], int, str], float]
) -> None:
    for case in cases(name):
        assert function(case["options"], case["answer_index"], case["prediction"]) == case["score"], case


def test_cider_equals_pycocoevalcap_image_by_image() -> None:
    for case in cases("cider"):
        scores = cider_scores(case["references"], case["predictions"])
        assert scores == pytest.approx(case["scores"], abs=1e-9)
        assert sum(scores) / len(scores) == pytest.approx(case["score"], abs=1e-9)


def test_cider_of_recorded_ptb_tokens_equals_pycocoevalcap() -> None:
    (case,) = cases("cider_pycocoevalcap")
    scores = cider_scores([tokens[:-1] for tokens in case["tokens"]], [tokens[-1] for tokens in case["tokens"]])
    assert scores == pytest.approx(case["scores"], abs=1e-9)


@pytest.mark.skipif(not ptb_is_here(), reason="the PTB tokenizer needs java and the package pycocoevalcap")
def test_the_ptb_tokenizer_gives_the_recorded_tokens() -> None:
    (case,) = cases("cider_pycocoevalcap")
    captions = [
        caption
        for references, prediction in zip(case["references"], case["predictions"], strict=True)
        for caption in (*references, prediction)
    ]
    assert list(ptb_tokenize(captions, find_ptb_tokenizer())) == [
        token for tokens in case["tokens"] for token in tokens
    ]


@given(st.lists(words, min_size=1, max_size=10), words)
def test_scores_of_answers_stay_between_0_and_1_and_ignore_their_order(answers: list[str], prediction: str) -> None:
    for function in ANSWERED.values():
        score = function(answers, prediction)
        assert 0.0 <= score <= 1.0
        assert function(answers[::-1], prediction) == pytest.approx(score, abs=1e-12)


@given(words)
def test_normalising_for_lmms_ignores_case_and_outer_space(text: str) -> None:
    for normalize in (normalize_textvqa, normalize_vqav2):
        assert normalize(f" {text}\n") == normalize(text)


@given(
    st.lists(st.lists(st.text(alphabet="ab ", max_size=12), min_size=1, max_size=3), min_size=2, max_size=5), st.data()
)
def test_cider_lies_between_0_and_10_and_does_not_depend_on_the_order_of_images(
    references: list[list[str]], data: st.DataObject
) -> None:
    predictions = [data.draw(st.text(alphabet="ab ", max_size=12)) for _ in references]
    scores = cider_scores(references, predictions)
    assert all(0.0 <= score <= 10.0 + 1e-9 for score in scores)
    assert cider_scores(references[::-1], predictions[::-1])[::-1] == pytest.approx(scores, abs=1e-12)


def test_a_caption_equal_to_its_only_reference_scores_ten() -> None:
    captions = ["a red bus on the street", "two dogs sleep in the sun", "people walk over there now"]
    assert cider_scores([[caption] for caption in captions], captions) == pytest.approx([10.0] * 3)


def test_a_corpus_of_one_image_scores_zero() -> None:
    assert cider_scores([["a red bus on the street"]], ["a red bus on the street"]) == (0.0,)


@pytest.mark.parametrize(
    ("matches", "textvqa", "molmo"),
    [(0, 0.0, 0.0), (1, 0.3, 1 / 3), (2, 0.6, 2 / 3), (3, 0.9, 1.0), (4, 1.0, 1.0), (10, 1.0, 1.0)],
)
def test_the_two_definitions_of_the_vqa_score_differ_up_to_three_matches_of_ten(
    matches: int, textvqa: float, molmo: float
) -> None:
    answers = ["cat"] * matches + ["dog"] * (10 - matches)
    assert vqa_score_textvqa(answers, "cat") == pytest.approx(textvqa)
    assert vqa_score_vqav2(answers, "cat") == pytest.approx(textvqa)
    assert vqa_score(answers, "cat") == pytest.approx(molmo)


def test_half_wrong_counts_half_in_lmms_and_nothing_in_molmos_anls() -> None:
    assert anls_lmms(["abcd"], "abxy") == 0.5
    assert anls(["abcd"], "abxy") == 0.0
    assert anls_lmms([""], "") == 1.0
