"""One question about one image, whatever data set it comes from, and the digest that names a list of them."""

import hashlib
import io
import json
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.errors import DatasetError

if TYPE_CHECKING:
    from PIL.Image import Image

LETTERS = string.ascii_uppercase


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A question and what is known to be right.

    `id` is unique in its data set. `image` is a file, the bytes of one, or None for text alone. `answers` are accepted short answers (one an
    annotator), `options` and `answer_index` belong to multiple choice, `references` are captions. What a task does not use is empty or None.
    """

    id: str
    question: str
    image: Path | bytes | None = None
    answers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    answer_index: int | None = None
    references: tuple[str, ...] = ()

    def image_bytes(self) -> bytes | None:
        """The encoded image. Raises DatasetError when its file cannot be read."""
        if not isinstance(self.image, Path):
            return self.image
        try:
            return self.image.read_bytes()
        except OSError as error:
            raise DatasetError(f"sample {self.id!r}: the image {self.image} cannot be read: {error.strerror or error}") from error

    def open_image(self) -> "Image | None":
        """The image, decoded, in RGB. Raises DatasetError when it cannot be read or decoded."""
        from PIL import Image, UnidentifiedImageError

        data = self.image_bytes()
        if data is None:
            return None
        try:
            with Image.open(io.BytesIO(data)) as image:
                return image.convert("RGB")
        except (UnidentifiedImageError, OSError, ValueError) as error:
            raise DatasetError(f"sample {self.id!r}: the image {self._image_name()} cannot be decoded: {error}") from error

    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels, (0, 0) without an image. Raises DatasetError as `open_image`; the pixels are not decoded."""
        from PIL import Image, UnidentifiedImageError

        if self.image is None:
            return (0, 0)
        try:
            with Image.open(self.image if isinstance(self.image, Path) else io.BytesIO(self.image)) as image:
                width, height = image.size
                return (width, height)
        except (UnidentifiedImageError, OSError, ValueError) as error:
            raise DatasetError(f"sample {self.id!r}: the image {self._image_name()} cannot be read: {error}") from error

    def _image_name(self) -> str:
        return str(self.image) if isinstance(self.image, Path) else "given as bytes"


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
        total.update(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n")
    return total.hexdigest()


def listed_options(options: Sequence[str]) -> str:
    """Options as lines `A: …`, each with its line end."""
    return "".join(f"{letter}: {option}\n" for letter, option in zip(LETTERS, options, strict=False))
