"""The five tasks of the demo model: canvases of handwritten digits with a question and its answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from profiles.datasets.digits.scans import CELL, SPLITS, digit_image, image_numbers
from profiles.sample import Sample

ROWS, COLUMNS = 2, 4
MOST_COUNTED = 4
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLURALS = ("zeros", "ones", "twos", "threes", "fours", "fives", "sixes", "sevens", "eights", "nines")

PLACE_QUESTIONS = {
    "left": "What digit is on the left?",
    "right": "What digit is on the right?",
    "top": "What digit is at the top?",
    "bottom": "What digit is at the bottom?",
}
LARGER_QUESTION = "Which digit is larger?"
SMALLER_QUESTION = "Which digit is smaller?"
SUM_QUESTION = "What is the sum?"
COUNT_QUESTION = "How many {plural} are there?"
CHOICE_QUESTION = "Which of {options} is shown?"
READ_QUESTION = "Read the number."
CAPTION_QUESTION = "Describe the image."
ROW_CAPTIONS = ("{a} left of {b}", "{b} right of {a}", "{a} and {b} in a row")
COLUMN_CAPTIONS = ("{a} above {b}", "{b} below {a}", "{a} and {b} in a column")


Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnSample(Sample):
    """A sample whose image was drawn here: `pixels` [16, 32, 3] stand in place of an encoded `image`.

    The first of `answers` is the right one.
    """

    pixels: Pixels = field(compare=False)

    @property
    def target(self) -> str:
        """The text a model learns to answer."""
        if self.answer_index is not None:
            return self.options[self.answer_index]
        return self.answers[0] if self.answers else self.references[0]


class _Canvas:
    """Draws digits into cells; augmentation moves a digit by a pixel and changes its gain and noise."""

    def __init__(self, rng: np.random.Generator, split: str, augment: bool) -> None:
        self._rng, self._augment = rng, augment
        self._numbers = image_numbers(split)
        self._pixels: npt.NDArray[np.float32] = np.zeros((ROWS * CELL, COLUMNS * CELL), np.float32)

    def draw(self, digit: int, cell: tuple[int, int]) -> None:
        numbers = self._numbers[digit]
        image: npt.NDArray[np.floating] = digit_image(numbers[int(self._rng.integers(len(numbers)))]).astype(np.float32)
        if self._augment:
            image = self._moved(image) * self._rng.uniform(0.8, 1.1)
        row, column = cell
        self._pixels[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = image

    def _moved(self, image: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        down, right = self._rng.integers(-1, 2, size=2)
        padded = np.pad(image, 1)
        return padded[1 - down : 1 - down + CELL, 1 - right : 1 - right + CELL]

    def image(self) -> Pixels:
        pixels: npt.NDArray[np.floating] = self._pixels
        if self._augment:
            pixels = pixels + self._rng.normal(0, 8, size=pixels.shape)
        grey = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)


def _cells(rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    return [divmod(int(cell), COLUMNS) for cell in rng.choice(ROWS * COLUMNS, size=count, replace=False)]


def _ten_answers(rng: np.random.Generator, value: int) -> tuple[str, ...]:
    """Ten people's answers: digits or words, and up to two mistakes, never the first."""
    forms = [str(value), f"{value}.", NAMES[value]] if value < 10 else [str(value)]
    answers = [forms[int(rng.integers(len(forms)))] for _ in range(9)]
    for place in range(int(rng.integers(3))):
        answers[place] = str(value + 1)
    return (str(value), *answers)


def _vqa(id: str, rng: np.random.Generator, canvas: _Canvas) -> DrawnSample:
    first, second = (int(digit) for digit in rng.integers(10, size=2))
    here, there = _cells(rng, 2)
    canvas.draw(first, here)
    canvas.draw(second, there)
    questions = {SUM_QUESTION: first + second}
    if first != second:
        questions |= {LARGER_QUESTION: max(first, second), SMALLER_QUESTION: min(first, second)}
    if here[1] != there[1]:
        left, right = (first, second) if here[1] < there[1] else (second, first)
        questions |= {PLACE_QUESTIONS["left"]: left, PLACE_QUESTIONS["right"]: right}
    if here[0] != there[0]:
        top, bottom = (first, second) if here[0] < there[0] else (second, first)
        questions |= {PLACE_QUESTIONS["top"]: top, PLACE_QUESTIONS["bottom"]: bottom}
    question = list(questions)[int(rng.integers(len(questions)))]
    return DrawnSample(id=id, pixels=canvas.image(), question=question, answers=_ten_answers(rng, questions[question]))


def _count(id: str, rng: np.random.Generator, canvas: _Canvas) -> DrawnSample:
    wanted = int(rng.integers(10))
    total = int(rng.integers(3, ROWS * COLUMNS + 1))
    hits = int(rng.integers(0, min(total, MOST_COUNTED) + 1))
    for place, cell in enumerate(_cells(rng, total)):
        other = (wanted + int(rng.integers(1, 10))) % 10
        canvas.draw(wanted if place < hits else other, cell)
    return DrawnSample(
        id=id, pixels=canvas.image(), question=COUNT_QUESTION.format(plural=PLURALS[wanted]), answers=(str(hits),)
    )


def _choice(id: str, rng: np.random.Generator, canvas: _Canvas) -> DrawnSample:
    digits = [int(digit) for digit in rng.permutation(10)]
    options, others = digits[:4], digits[4:]
    right = int(rng.integers(4))
    cells = _cells(rng, int(rng.integers(1, 4)))
    canvas.draw(options[right], cells[0])
    for cell in cells[1:]:
        canvas.draw(others[int(rng.integers(len(others)))], cell)
    names = tuple(str(option) for option in options)
    return DrawnSample(
        id=id,
        pixels=canvas.image(),
        question=CHOICE_QUESTION.format(options=" ".join(names)),
        options=names,
        answer_index=right,
    )


def _read(id: str, rng: np.random.Generator, canvas: _Canvas) -> DrawnSample:
    digits = [int(digit) for digit in rng.integers(10, size=int(rng.integers(3, 5)))]
    row, start = int(rng.integers(ROWS)), int(rng.integers(COLUMNS - len(digits) + 1))
    for place, digit in enumerate(digits):
        canvas.draw(digit, (row, start + place))
    return DrawnSample(id=id, pixels=canvas.image(), question=READ_QUESTION, answers=("".join(map(str, digits)),))


def _caption(id: str, rng: np.random.Generator, canvas: _Canvas) -> DrawnSample:
    first, second = (int(digit) for digit in rng.integers(10, size=2))
    if rng.integers(2):
        row = int(rng.integers(ROWS))
        left, right = sorted(int(column) for column in rng.choice(COLUMNS, size=2, replace=False))
        cells, templates = ((row, left), (row, right)), ROW_CAPTIONS
    else:
        column = int(rng.integers(COLUMNS))
        cells, templates = ((0, column), (1, column)), COLUMN_CAPTIONS
    canvas.draw(first, cells[0])
    canvas.draw(second, cells[1])
    nouns = {"a": _with_article(first), "b": _with_article(second)}
    references = tuple(template.format(**nouns) for template in templates)
    return DrawnSample(id=id, pixels=canvas.image(), question=CAPTION_QUESTION, references=references)


def _with_article(digit: int) -> str:
    return f"{'an' if digit == 8 else 'a'} {NAMES[digit]}"


_MAKERS: dict[str, Callable[[str, np.random.Generator, _Canvas], DrawnSample]] = {
    "digits-vqa": _vqa,
    "digits-count": _count,
    "digits-mc": _choice,
    "digits-read": _read,
    "digits-caption": _caption,
}

TASKS = tuple(_MAKERS)


def make_sample(task: str, split: str, index: int, *, seed: int, augment: bool = False) -> DrawnSample:
    """Sample `index` of a task on the images of a split, which is its id: a pure function of its arguments.

    Raises ValueError when the task or the split is unknown.
    """
    if task not in _MAKERS:
        raise ValueError(f"no task {task!r}: the tasks are {', '.join(TASKS)}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}: the splits are {', '.join(SPLITS)}")
    rng = np.random.default_rng((seed, TASKS.index(task), SPLITS.index(split), index))
    return _MAKERS[task](str(index), rng, _Canvas(rng, split, augment))


def make_samples(task: str, split: str, count: int, *, seed: int, start: int = 0) -> tuple[DrawnSample, ...]:
    """Samples `start` to `start + count − 1`, without augmentation."""
    return tuple(make_sample(task, split, index, seed=seed) for index in range(start, start + count))


def template_words() -> tuple[str, ...]:
    """Every word of questions and answers, sorted; the vocabulary is built from them."""
    texts = [
        *PLACE_QUESTIONS.values(),
        LARGER_QUESTION,
        SMALLER_QUESTION,
        SUM_QUESTION,
        COUNT_QUESTION,
        CHOICE_QUESTION,
    ]
    texts += [
        READ_QUESTION,
        CAPTION_QUESTION,
        *ROW_CAPTIONS,
        *COLUMN_CAPTIONS,
        *NAMES,
        *PLURALS,
        "a an",
        "User Assistant",
    ]
    words = {word.strip("?.") for text in texts for word in text.split() if "{" not in word}
    return tuple(sorted(words | {str(digit) for digit in range(10)}))


def make_cells(split: str, index: int, *, seed: int) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """A canvas of random digits and blanks, augmented, and what each cell shows: rows × columns of 0–9, 10 for a
    blank."""
    rng = np.random.default_rng((seed, len(TASKS), SPLITS.index(split), index))
    canvas = _Canvas(rng, split, augment=True)
    cells = np.where(rng.random((ROWS, COLUMNS)) < 0.25, 10, rng.integers(10, size=(ROWS, COLUMNS)))
    for row, column in np.ndindex(ROWS, COLUMNS):
        if cells[row, column] < 10:
            canvas.draw(int(cells[row, column]), (row, column))
    return canvas.image(), cells
