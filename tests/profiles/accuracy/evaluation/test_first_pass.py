"""What cannot be asked is found before anything is answered."""

import io
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from profiles.accuracy.evaluation.first_pass import read_all
from profiles.datasets.dataset import Dataset, Settings
from profiles.errors import DatasetError
from profiles.sample import Sample
from runtime.engines.prompts import Question
from runtime.engines.protocol import Prompt
from tests.support.echo_engine import SilentProgress

SETTINGS = Settings(task="vqa", metric="em/molmo", cleanup="cleanup/molmo", prompt="{question}", max_new_tokens=8)


@dataclass
class WordReader:
    """A token a word; a family of text unless it `sees`."""

    sees: bool = True
    context_tokens: int | None = 20
    seen: list[str] = field(default_factory=list)

    @property
    def crop_settings(self) -> object | None:
        return self if self.sees else None

    def read(self, questions: tuple[Question, ...], *, variant: str) -> tuple[Prompt, ...]:
        (question,) = questions
        self.seen.append(question.text)
        if question.image is not None and not self.sees:
            raise ValueError("a picture for a family that reads no images")
        return (Prompt(variant=variant, arrays={"input_ids": np.arange(len(question.text.split()))}),)


def png(mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (4, 4)).save(buffer, format="PNG")
    return buffer.getvalue()


def dataset(*samples: Sample) -> Dataset:
    return Dataset(name="mine", samples=samples, settings=SETTINGS)


GOOD = Sample(id="good", question="what is it", image=png(), answers=("x",))
LONG = Sample(id="long", question="word " * 13, image=png(), answers=("x",))
BLANK = Sample(id="blank", question=" ", image=png(), answers=("x",))
EMPTY = Sample(id="empty", question="what", image=png(), answers=("", " "))
BROKEN = Sample(id="broken", question="what", image=b"no image", answers=("x",))


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (LONG, "sample 'long': its prompt has 13 tokens and its answer up to 8; the model's context has 20"),
        (BLANK, "sample 'blank': its question is blank"),
        (EMPTY, "sample 'empty': its answers are blank"),
        (BROKEN, "sample 'broken': the image given as bytes cannot be decoded"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(sample: Sample, said: str) -> None:
    with pytest.raises(DatasetError, match=f"data set mine: {said}"):
        read_all([dataset(GOOD, sample)], WordReader(), SilentProgress())


def test_a_model_of_text_refuses_pictures() -> None:
    with pytest.raises(DatasetError, match="sample 'good': a picture for a family that reads no images"):
        read_all([dataset(GOOD)], WordReader(sees=False), SilentProgress())


def test_bad_samples_are_left_out_named_and_counted_where_asked() -> None:
    found = read_all([dataset(GOOD, LONG, BROKEN)], WordReader(), SilentProgress(), skip_bad=True)
    (left,) = found.datasets
    assert [sample.id for sample in left.samples] == ["good"] and left.skipped == ("long", "broken")
    assert [one.id for one in found.skipped] == ["long", "broken"]
    assert found.lines[0].startswith("mine: left out 'long': its prompt has 13 tokens")


def test_without_skipping_the_message_says_how_many_there_are() -> None:
    with pytest.raises(DatasetError, match=r"\(2 samples cannot be asked; --skip-bad leaves them out\)"):
        read_all([dataset(LONG, BLANK)], WordReader(), SilentProgress())
    with pytest.raises(DatasetError, match="no sample can be asked; the first, 'long'"):
        read_all([dataset(LONG, BLANK)], WordReader(), SilentProgress(), skip_bad=True)


def test_a_model_that_sees_is_told_of_samples_without_pictures() -> None:
    blind = Sample(id="blind", question="what", answers=("x",))
    found = read_all([dataset(GOOD, blind)], WordReader(), SilentProgress())
    assert found.notes == ("mine: 1 of 2 samples have no picture, and the model reads pictures",)


def test_sixteen_bits_are_scaled_and_numbers_without_a_range_refused() -> None:
    wide = io.BytesIO()
    Image.fromarray(np.full((2, 2), 32896, np.uint16)).save(wide, format="PNG")
    image = Sample(id="wide", question="what", image=wide.getvalue()).open_image()
    assert image is not None and image.getpixel((0, 0)) == (128, 128, 128)
    loose = io.BytesIO()
    Image.fromarray(np.full((2, 2), 0.5, np.float32)).save(loose, format="TIFF")
    with pytest.raises(DatasetError, match="'F', which have no fixed range"):
        Sample(id="loose", question="what", image=loose.getvalue()).open_image()
