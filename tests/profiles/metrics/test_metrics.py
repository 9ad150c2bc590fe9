"""The metrics, case by case, odd ones included."""

import pytest

from profiles.metrics.anls import anls
from profiles.metrics.anls_lmms import anls_lmms
from profiles.metrics.caption import caption_match
from profiles.metrics.choice import choose_option, multiple_choice
from profiles.metrics.choice_study import choose_option_study
from profiles.metrics.exact import exact_match
from profiles.metrics.normalisation.cleanup import clean_prediction
from profiles.metrics.vqa import normalize_answer, vqa_score


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  The Cat\n", "cat"),
        ("two", "2"),
        ("none", "0"),
        ("An apple", "apple"),
        ("dont", "don't"),
        ("couldntve", "couldntve"),
        ("couldn'tve", "couldn't've"),
        ("lets", "lets"),
        ("shes", "shes"),
        ("somebody'd", "somebodyd"),
        ("red/blue", "red blue"),
        ("red, blue", "red blue"),
        ("red / blue", "red blue"),
        ("red-ish /blue", "red ish blue"),
        ("1,000 red/blue", "1000 redblue"),
        ("2.5.", "2.5"),
        ("u.s.", "us"),
        ("." * 40, "." * 8),
        ("a\tb", "b"),
        ("", ""),
        ("the", ""),
    ],
)
def test_answers_are_normalised_as_vqa_v2_does(text: str, expected: str) -> None:
    assert normalize_answer(text) == expected


@pytest.mark.parametrize(
    ("answers", "prediction", "expected"),
    [
        (["3"] * 10, "three", 1.0),
        (["3"] * 3 + ["4"] * 7, "3", 1.0),
        (["3"] * 2 + ["4"] * 8, "3.", 2 / 3),
        (["3"] + ["4"] * 9, "the 3", 1 / 3),
        (["3"], "3", 1 / 3),
        (["4"] * 10, "3", 0.0),
        (["", "x"], "the", 1 / 3),
    ],
)
def test_a_short_answer_scores_a_third_for_each_person_who_agrees(
    answers: list[str], prediction: str, expected: float
) -> None:
    assert vqa_score(answers, prediction) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("references", "prediction", "expected"),
    [
        (["385"], "385", 1.0),
        (["385"], "386", 2 / 3),
        (["3854"], "38", 0.0),
        (["3854"], "385", 0.75),
        (["ABC"], "abc", 1.0),
        (["385", "386"], "386", 1.0),
        (["a b"], "ab", 2 / 3),
        ([""], "", 1.0),
        ([""], "3", 0.0),
        (["3"], "", 0.0),
    ],
)
def test_anls_is_one_minus_the_distance_until_half_is_wrong(
    references: list[str], prediction: str, expected: float
) -> None:
    assert anls(references, prediction) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answers", "prediction", "expected"),
    [(["Two"], "two", 1.0), (["2", "two"], "TWO", 1.0), (["two "], "two", 0.0), (["2"], "two", 0.0), ([""], "", 1.0)],
)
def test_exact_match_ignores_case_only(answers: list[str], prediction: str, expected: float) -> None:
    assert exact_match(answers, prediction) == expected


@pytest.mark.parametrize(
    ("prediction", "options", "expected"),
    [
        ("b", ["A", "B", "C"], 1),
        (" C ", ["a", "b", "c"], 2),
        ("dog", ["a hot dog", "a cat"], 0),
        ("dot", ["cat", "dog", "dig"], 1),
        ("", ["long", "no"], 1),
        ("x", ["ab", "cd"], 0),
        ("a", ["a cat", "a dog"], 0),
        ("the answer is b", ["a", "b"], 0),
    ],
)
def test_the_option_is_the_equal_one_the_only_one_containing_it_or_the_nearest(
    prediction: str, options: list[str], expected: int
) -> None:
    assert choose_option(prediction, options) == expected


def test_multiple_choice_compares_the_chosen_index() -> None:
    assert multiple_choice(["A", "B"], 1, "b") == 1.0
    assert multiple_choice(["A", "B"], 0, "b") == 0.0


@pytest.mark.parametrize(
    ("prediction", "options", "expected"),
    [
        ("b.", ["A", "B"], 1),
        ("the answer is (B)", ["A", "B"], 1),
        ("it is a dog", ["cat", "dog"], 0),
        ("I see a dog", ["dog", "cat"], 0),
        ("dog", ["cat", "dog"], 1),
        ("B2", ["A", "B2"], 1),
        ("_B_", ["A", "B"], 1),
        ("z a", ["cat", "a dog"], 0),
    ],
)
def test_the_studys_choice_is_the_first_letter_standing_alone_if_there_is_such_an_option(
    prediction: str, options: list[str], expected: int
) -> None:
    assert choose_option_study(prediction, options) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two  dogs ", "two dogs"),
        ("so Answer: a  b Answer: c", "a  b"),
        ("Answer:", ""),
        ("x\ny\ny", "y"),
        ("x\ny", "x"),
        ("x\n\n\ny", ""),
        ("x  z\ny", "x z"),
        ("x\nAnswer: y\nz", "y\nz"),
        ("", ""),
    ],
)
def test_predictions_are_cleaned_as_molmos_evaluation_does(text: str, expected: str) -> None:
    assert clean_prediction(text) == expected


def test_a_caption_matches_a_reference_whatever_its_case_and_spaces() -> None:
    assert caption_match(["a three above a five"], " A three  above a five") == 1.0
    assert caption_match(["a three above a five"], "a five below a three") == 0.0


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("kitten", "sitting", 3), ("abcd", "abdc", 2), ("same", "same", 0), ("日本語だ", "日本語", 1)],
)
def test_the_edit_distance_counts_inserted_deleted_and_replaced_characters(
    first: str, second: str, distance: int
) -> None:
    expected = 1 - distance / max(len(first), len(second), 1)
    for metric in (anls, anls_lmms):
        if expected > 0.5:
            assert metric([first], second) == metric([second], first) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vqa_score([], "x"), r"vqa_score needs a list of answers: got \[\]"),
        (lambda: vqa_score("3", "3"), "vqa_score needs a list of answers: got '3'"),
        (lambda: anls([], "x"), "anls needs a list of references"),
        (lambda: exact_match([], "x"), "exact_match needs a list of answers"),
        (lambda: caption_match([], "x"), "caption_match needs a list of references"),
        (lambda: choose_option("a", ["A", "a "]), "options must be distinct"),
        (lambda: choose_option("a", []), "options must be distinct"),
        (lambda: multiple_choice(["A"], 1, "A"), "answer index 1 is outside the 1 options"),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
