"""Questions as a model reads them, and answers as they count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from profiles.accuracy.asking import PLAIN, Asking, asking_of
from profiles.sample import Sample

SAMPLE = Sample(id="1", question="How many?", answers=("2",))


@dataclass
class Reader:
    has_chat_template: bool = True
    crop_settings: object | None = None

    def chat_text(self, messages: Sequence[Mapping[str, str]]) -> str:
        return "|".join(f"{one['role']}:{one['content']}" for one in messages)


def test_a_model_of_text_with_a_template_is_asked_as_a_chat_by_default() -> None:
    asking = asking_of(Reader(), chat=None, system="Be brief.")
    assert asking.prompt("Q {question}", SAMPLE) == "system:Be brief.|user:Q How many?"


@pytest.mark.parametrize(
    ("reader", "chat"),
    [(Reader(has_chat_template=False), None), (Reader(crop_settings=object()), None), (Reader(), False)],
)
def test_others_are_asked_the_text_alone(reader: Reader, chat: bool | None) -> None:
    asking = asking_of(reader, chat=chat, system="Be brief.")
    assert asking.prompt("{question}", SAMPLE) == "How many?" and asking.system is None


def test_an_answer_ends_before_the_first_stop_text() -> None:
    assert Asking(stop=("\n", ".")).answer("two. Or three\n") == "two"
    assert PLAIN.answer("two.\n") == "two.\n"
