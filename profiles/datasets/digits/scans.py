"""Handwritten digits of scikit-learn, split by image: no image of one split ever occurs in another.

The images are those of `sklearn.datasets.load_digits`: the test set of Alpaydin and Kaynak, Optical Recognition of
Handwritten Digits, UCI Machine Learning Repository, 1998.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

CELL = 8
"""Height and width of one digit, pixels."""

SPLITS = ("train", "calibration-a", "calibration-b", "test")
"""`train` makes gradients; the two calibration halves make evidence; `test` makes the published scores."""

_SPLIT_SEED = 1797
_TEST_SHARE = 0.25
_CALIBRATION_PER_CLASS = 15


@cache
def _images() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    source = load_digits()
    return np.rint(source.images * (255 / 16)).astype(np.uint8), source.target


@cache
def image_numbers(split: str) -> tuple[tuple[int, ...], ...]:
    """Image numbers of one split: entry d holds the images that show digit d.

    Raises ValueError when the split is unknown.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}: the splits are {', '.join(SPLITS)}")
    rng = np.random.default_rng(_SPLIT_SEED)
    chosen = []
    for digit in range(10):
        numbers = rng.permutation(np.flatnonzero(_images()[1] == digit))
        tests = round(len(numbers) * _TEST_SHARE)
        bounds = (tests, tests + _CALIBRATION_PER_CLASS, tests + 2 * _CALIBRATION_PER_CLASS)
        test, first, second, train = np.split(numbers, bounds)
        part = {"train": train, "calibration-a": first, "calibration-b": second, "test": test}[split]
        chosen.append(tuple(int(number) for number in part))
    return tuple(chosen)


def digit_image(number: int) -> npt.NDArray[np.uint8]:
    """Pixels of one image: uint8, 8 × 8, 0 is background."""
    image: npt.NDArray[np.uint8] = _images()[0][number]
    return image
