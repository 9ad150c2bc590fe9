"""Tokens into pieces of text, and why an answer ends."""

import pytest

from runtime.serving.answer import LENGTH, STOP
from runtime.serving.batching.answering.transcript import Transcript
from tests.support.toy_language import CLOSE, END, OPEN, LetterReader, tokens_of


def pieces(tokens: list[int], *, room: int = 99, stops: tuple[str, ...] = ()) -> tuple[list[str], str | None, int]:
    """The texts of the pieces until the answer is over, why it is, and how many tokens it took."""
    transcript, found = Transcript(LetterReader(), room=room, stops=stops), []
    for token in tokens:
        found.append(transcript.add(token).text)
        if transcript.reason is not None:
            break
    assert transcript.text == "".join(found)
    return found, transcript.reason, len(transcript.tokens)


@pytest.mark.parametrize(
    ("tokens", "options", "shown", "reason"),
    [
        (tokens_of("ab"), {}, ["a", "b"], None),
        ([*tokens_of("ab"), END], {}, ["a", "b", ""], STOP),
        (tokens_of("abcd"), {"room": 3}, ["a", "b", "c"], LENGTH),
        ([*tokens_of("a"), OPEN, CLOSE, END], {}, ["a", "", "é", ""], STOP),
        ([*tokens_of("a"), OPEN, END], {}, ["a", "", "\ufffd"], STOP),
        ([*tokens_of("a"), OPEN], {"room": 2}, ["a", "\ufffd"], LENGTH),
        (tokens_of("abcdef"), {"stops": ("cde",)}, ["a", "b", "", "", ""], STOP),
        ([*tokens_of("abc"), END], {"stops": ("cde",)}, ["a", "b", "", "c"], STOP),
        (tokens_of("abc"), {"stops": ("cde",), "room": 3}, ["a", "b", "c"], LENGTH),
        (tokens_of("abc"), {"stops": ("c",), "room": 3}, ["a", "b", ""], STOP),
        ([*tokens_of("a"), OPEN], {"stops": ("\ufffd",), "room": 2}, ["a", ""], STOP),
        ([END], {}, [""], STOP),
    ],
)
def test_the_text_of_the_pieces_is_the_answer(
    tokens: list[int], options: dict[str, object], shown: list[str], reason: str | None
) -> None:
    assert pieces(tokens, **options) == (shown, reason, len(shown))  # type: ignore[arg-type]
