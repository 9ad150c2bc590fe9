"""The metrics by id: what they need, what they refuse, and that no missing tool is worked round in silence."""

from pathlib import Path

import pytest

from profiles.errors import MeasurementError, MissingToolError
from profiles.metrics.catalogue import CIDER, CIDER_WORDS, METRICS, check_samples, find_metric
from profiles.metrics.exact_study import exact_match_counts, exact_match_study
from profiles.metrics.normalisation import ptb
from profiles.metrics.normalisation.cleanup import CLEANUPS, find_cleanup
from profiles.metrics.normalisation.ptb import PtbTokenizer, find_ptb_tokenizer, ptb_tokenize
from profiles.sample import Sample

CAPTIONS = (
    Sample(id="1", question="Describe.", references=("a red bus", "the red bus stops")),
    Sample(id="2", question="Describe.", references=("two dogs",)),
)
QUESTION = Sample(id="q", question="?", answers=("two", "2"), options=("cat", "dog"), answer_index=1)


@pytest.mark.parametrize("id", [id for id in METRICS if METRICS[id].needs == "answers"])
def test_a_metric_of_answers_gives_one_score_a_sample(id: str) -> None:
    scores = METRICS[id].score([QUESTION, QUESTION], ["2", "nothing like it"])
    assert scores[0] > scores[1] == 0.0


def test_the_metric_of_choices_compares_the_chosen_option() -> None:
    assert METRICS["mc/molmo"].score([QUESTION, QUESTION], ["dog", "cat"]) == (1.0, 0.0)


def test_ids_are_keys_and_every_metric_says_what_it_means() -> None:
    for id, metric in METRICS.items():
        assert metric.id == id
        assert len(metric.definition) > 20
        assert metric.needs in ("answers", "options", "references")


def test_cider_on_words_needs_no_tokenizer() -> None:
    scores = METRICS[CIDER_WORDS].score(CAPTIONS, ["A red bus", "a cat"])
    assert scores[0] > 3 and scores[1] == 0.0


def test_cider_without_java_says_so_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ptb.shutil, "which", lambda name: None)
    with pytest.raises(MissingToolError, match="no `java` is on the PATH"):
        METRICS[CIDER].score(CAPTIONS, ["a", "b"])


def test_cider_without_the_package_says_so_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ptb.shutil, "which", lambda name: "/usr/bin/java")
    monkeypatch.setattr(ptb.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match="package pycocoevalcap, which is not installed"):
        METRICS[CIDER].score(CAPTIONS, ["a", "b"])


def test_a_package_without_its_jar_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(ptb.shutil, "which", lambda name: "/usr/bin/java")
    monkeypatch.setattr(ptb.importlib.util, "find_spec", lambda name: Spec())
    with pytest.raises(MissingToolError, match=r"stanford-corenlp-3.4.1.jar is missing"):
        find_ptb_tokenizer()


def script(path: Path, text: str) -> PtbTokenizer:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return PtbTokenizer(java=str(path), jar=path)


def test_captions_are_handed_over_line_by_line_and_punctuation_is_dropped(tmp_path: Path) -> None:
    echo = script(tmp_path / "java", "cat")
    assert ptb_tokenize(["a cat , yes", "", "two\nlines\u2028here .", "''"], echo) == (
        "a cat yes",
        "",
        "two lines here",
        "",
    )
    assert ptb_tokenize([], echo) == ()


def test_a_failing_tokenizer_is_an_error_with_its_message(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="the PTB tokenizer failed: no memory"):
        ptb_tokenize(["a"], script(tmp_path / "java", "cat > /dev/null; echo no memory >&2; exit 3"))


def test_a_tokenizer_that_loses_a_line_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="returned 1 lines for 2 captions"):
        ptb_tokenize(["a", "b"], script(tmp_path / "java", "head -n 1"))


@pytest.mark.parametrize(
    ("id", "sample", "message"),
    [
        ("em/molmo", Sample(id="7", question="?"), "em/molmo needs answers, and sample '7' has none"),
        ("mc/molmo", Sample(id="7", question="?", options=("a", "b"), answer_index=2), "answer index 2 for 2 options"),
        ("mc/molmo", Sample(id="7", question="?", options=("a", "b")), "answer index None for 2 options"),
        ("mc/molmo", Sample(id="7", question="?", options=("a", "A "), answer_index=0), "two equal options"),
        ("cider/words", Sample(id="7", question="?", answers=("x",)), "needs references"),
    ],
)
def test_samples_without_what_a_metric_needs_are_named(id: str, sample: Sample, message: str) -> None:
    with pytest.raises(MeasurementError, match=message):
        check_samples(find_metric(id), [QUESTION, sample] if id != "cider/words" else [sample])


def test_unknown_ids_are_refused_with_those_there_are() -> None:
    with pytest.raises(MeasurementError, match=r"no metric 'vqa'; the metrics are vqa_score/molmo, "):
        find_metric("vqa")
    with pytest.raises(MeasurementError, match=r"no clean-up 'x'; there are cleanup/molmo, "):
        find_cleanup("x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\n\n", "b"),
        ("so Answer: a  b Answer: c", "a  b"),
        ("  x   y ", "x y"),
        ("a\nb  c\n", "b  c"),
        ("x  y\n", "x  y"),
        ("\n \n", ""),
        ("", ""),
    ],
)
def test_the_studys_clean_up_takes_the_last_line_that_is_not_blank(text: str, expected: str) -> None:
    assert CLEANUPS["cleanup/study"](text) == expected


def test_the_studys_exact_match_strips_references_and_counts_take_words_as_digits() -> None:
    assert exact_match_study([" Two "], "two") == 1.0
    assert exact_match_study(["2"], "two") == 0.0
    assert exact_match_counts(["2"], "Two.") == 1.0
    assert exact_match_counts(["10"], "ten") == 1.0
    assert exact_match_counts(["eleven"], "11") == 0.0
    with pytest.raises(ValueError, match="exact match needs a list of answers"):
        exact_match_study([], "x")
