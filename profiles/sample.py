"""One question about one image, whatever data set it comes from, and the digest that names a list of them."""

import hashlib
import io
import json
import string
import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.errors import DatasetError

if TYPE_CHECKING:
    from PIL.Image import Image

LETTERS = string.ascii_uppercase

_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, ArithmeticError, NotImplementedError, struct.error)
"""What Pillow raises for images that are not what their first bytes say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A question and what is known to be right.

    `id` is unique in its data set. `image` is a file, the bytes of one, or None for text alone. `answers` are accepted
    short answers (one an annotator), `options` and `answer_index` belong to multiple choice, `references` are captions.
    What a task does not use is empty or None. `dataset` is the name that messages give; it is no part of the sample.
    """

    id: str
    question: str
    image: Path | bytes | None = None
    answers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    answer_index: int | None = None
    references: tuple[str, ...] = ()
    dataset: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """The sample as messages name it: `data set mine: sample '7'`."""
        return f"{f'data set {self.dataset}: ' if self.dataset else ''}sample {self.id!r}"

    def image_bytes(self) -> bytes | None:
        """The encoded image. Raises DatasetError when its file cannot be read."""
        if not isinstance(self.image, Path):
            return self.image
        if self.image.exists() and not self.image.is_file():
            raise DatasetError(f"{self.label}: the image {self._image_name()} is no regular file")
        try:
            return self.image.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DatasetError(f"{self.label}: the image {self._image_name()} cannot be read: {reason}") from error

    def open_image(self) -> "Image | None":
        """The image, decoded, in RGB. Raises DatasetError when it cannot be read or decoded, and when it has more
        pixels than Pillow finds safe."""
        from PIL import Image

        data = self.image_bytes()
        if data is None:
            return None
        with self._refusing("decoded"), Image.open(io.BytesIO(data)) as image:
            return _in_rgb(image, self.label)

    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels, (0, 0) without an image. Raises DatasetError as `open_image`; the pixels are not
        decoded."""
        from PIL import Image

        if self.image is None:
            return (0, 0)
        with (
            self._refusing("read"),
            Image.open(self.image if isinstance(self.image, Path) else io.BytesIO(self.image)) as image,
        ):
            width, height = image.size
            return (width, height)

    @contextmanager
    def _refusing(self, done: str) -> Iterator[None]:
        """What Pillow raises as DatasetError: `done` says what cannot be."""
        from PIL import Image

        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                yield
            except (*_BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
                raise DatasetError(f"{self.label}: the image {self._image_name()} cannot be {done}: {error}") from error

    def _image_name(self) -> str:
        if not isinstance(self.image, Path):
            return "given as bytes"
        name = str(self.image)
        return name if name.isprintable() else repr(name)


def _in_rgb(image: "Image", label: str) -> "Image":
    """The image in RGB; 16 bits a pixel are scaled to 8. Raises DatasetError for numbers without a fixed range, which
    are of no known brightness."""
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        wide = image.convert("I")
        return Image.merge("RGB", 3 * [wide.point(lambda value: value * (255 / 65535)).convert("L")])
    if image.mode.startswith(("I", "F")):
        raise DatasetError(
            f"{label}: the image has pixels of mode {image.mode!r}, which have no fixed range; convert it to 8 bits"
        )
    return image.convert("RGB")


def digest_samples(samples: Iterable[Sample]) -> str:
    """sha256 over every sample in order: texts, answers, options and the bytes of the images, but not where they lie.

    Raises DatasetError when an image cannot be read.
    """
    total = hashlib.sha256()
    for sample in samples:
        data = sample.image_bytes()
        fields = [
            sample.id,
            sample.question,
            None if data is None else hashlib.sha256(data).hexdigest(),
            sample.answers,
            sample.options,
            sample.answer_index,
            sample.references,
        ]
        total.update(
            json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        )
    return total.hexdigest()


def shared_images(samples: Sequence[Sample]) -> tuple[str | None, ...]:
    """For each sample the name of its image, the first 16 hexadecimal digits of the sha256 of its bytes, where another
    sample has the same; None elsewhere. Raises DatasetError when an image cannot be read."""
    data = (sample.image_bytes() for sample in samples)
    names = [None if one is None else hashlib.sha256(one).hexdigest()[:16] for one in data]
    counts = Counter(names)
    return tuple(name if name is not None and counts[name] > 1 else None for name in names)


def option_letters(sample: Sample) -> tuple[str, ...]:
    """A letter for every option. Raises DatasetError when there are more options than letters."""
    if len(sample.options) > len(LETTERS):
        raise DatasetError(
            f"{sample.label} has {len(sample.options)} options: a prompt that lists them has letters for "
            f"{len(LETTERS)} at most"
        )
    return tuple(LETTERS[: len(sample.options)])


def listed_options(sample: Sample) -> str:
    """Options as lines `A: …`, each with its line end. Raises DatasetError as `option_letters`."""
    return "".join(
        f"{letter}: {option}\n" for letter, option in zip(option_letters(sample), sample.options, strict=True)
    )
