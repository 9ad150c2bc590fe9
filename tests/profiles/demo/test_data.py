"""The demo model's data: splits by image, samples as pure functions, tensors as the processor makes them."""

from itertools import combinations

import numpy as np
import pytest

from profiles.accuracy.evaluation.evaluate import score_answers
from profiles.datasets.digits.dataset import DEMO_TASKS, LONGEST_ANSWERS, SEED, demo_dataset
from profiles.datasets.digits.scans import SPLITS, digit_image, image_numbers
from profiles.datasets.digits.tasks import TASKS, make_cells, make_sample, make_samples, template_words
from profiles.demo.config_files import EMBEDDING_ROWS
from profiles.demo.words import IMAGE_TOKENS, build_tokenizer


def _numbers(split: str) -> set[int]:
    return {number for numbers in image_numbers(split) for number in numbers}


def test_no_image_is_in_two_splits_and_every_image_is_in_one() -> None:
    for first, second in combinations(SPLITS, 2):
        assert not _numbers(first) & _numbers(second)
    assert sum(len(_numbers(split)) for split in SPLITS) == 1797


def test_no_two_splits_show_the_same_pixels() -> None:
    pixels = {split: {digit_image(number).tobytes() for number in _numbers(split)} for split in SPLITS}
    for first, second in combinations(SPLITS, 2):
        assert not pixels[first] & pixels[second]


def test_every_split_shows_every_digit() -> None:
    assert all(len(numbers) >= 15 for split in SPLITS for numbers in image_numbers(split))


@pytest.mark.parametrize("task", TASKS)
def test_a_sample_is_a_function_of_task_split_seed_and_number(task: str) -> None:
    one, again, other = (make_sample(task, "test", 5, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.pixels, again.pixels)
    assert (one.question, one.target, one.answers, one.references) == (
        again.question,
        again.target,
        again.answers,
        again.references,
    )
    assert not np.array_equal(one.pixels, other.pixels)
    assert one.pixels.shape == (16, 32, 3)
    assert one.pixels.dtype == np.uint8


@pytest.mark.parametrize("task", TASKS)
def test_the_right_answer_scores_full_marks(task: str) -> None:
    dataset, samples = demo_dataset(task, 60), make_samples(task, "test", 60, seed=SEED)
    assert set(score_answers(dataset, [sample.target for sample in samples]).scores) == {1.0}
    assert score_answers(dataset, ["nonsense"] * len(samples)).values.mean() < 0.5


def test_each_task_has_its_own_metric() -> None:
    assert DEMO_TASKS == TASKS
    assert len({demo_dataset(task, 1).settings.metric for task in TASKS}) == 5


def test_cells_tell_which_digits_a_canvas_shows() -> None:
    image, cells = make_cells("train", 0, seed=1)
    brightest = image[:, :, 0].reshape(2, 8, 4, 8).max(axis=(1, 3))
    assert np.array_equal(brightest > 120, cells < 10)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no task 'digits-sum': the tasks are digits-vqa"):
        make_sample("digits-sum", "train", 0, seed=0)
    with pytest.raises(ValueError, match="no split 'dev': the splits are train"):
        make_sample("digits-vqa", "dev", 0, seed=0)
    with pytest.raises(ValueError, match="no split 'dev'"):
        image_numbers("dev")


def test_the_tokenizer_spells_every_word_with_one_token_and_any_text_with_bytes() -> None:
    tokenizer = build_tokenizer(EMBEDDING_ROWS)
    for word in template_words():
        assert len(tokenizer.encode(f" {word}", add_special_tokens=False)) == 1, word
    for text in ("Zebra crossings, 42 ½ naïve 数字\n", " 385", " a three above an eight"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_the_image_tokens_follow_the_main_embedding() -> None:
    tokenizer = build_tokenizer(EMBEDDING_ROWS)
    assert tokenizer.convert_tokens_to_ids(list(IMAGE_TOKENS)) == [
        EMBEDDING_ROWS + place for place in range(len(IMAGE_TOKENS))
    ]
    assert tokenizer.pad_token_id == 1


def test_an_embedding_too_small_for_the_words_is_refused() -> None:
    with pytest.raises(ValueError, match="the tokenizer needs 433 rows: the embedding has 100"):
        build_tokenizer(100)


@pytest.mark.parametrize("task", TASKS)
def test_the_longest_answer_has_room_for_every_right_one(task: str) -> None:
    tokenizer = build_tokenizer(EMBEDDING_ROWS)
    texts = [text for sample in make_samples(task, "test", 200, seed=1) for text in (sample.target, *sample.references)]
    assert (
        max(len(tokenizer.encode(f" {text}", add_special_tokens=False)) + 1 for text in texts) < LONGEST_ANSWERS[task]
    )
