"""Stop texts end an answer wherever tokens are cut, and hold nothing back for longer than they must."""

import random

import pytest

from runtime.serving.batching.answering.stop_texts import StopTexts


@pytest.mark.parametrize(
    ("stops", "pieces", "shown"),
    [
        ((), ["ab", "c"], ["ab", "c", ""]),
        (("",), ["ab"], ["ab", ""]),
        (("cd",), ["ab", "c", "x"], ["ab", "", "cx", ""]),
        (("cd",), ["ab", "c", "d", "e"], ["ab", "", ""]),
        (("cd",), ["abcdef"], ["ab"]),
        (("cd",), ["abc"], ["ab", "c"]),
        (("aab",), ["a", "a", "a", "b"], ["", "", "a", ""]),
        (("xyz", "b"), ["axyb"], ["axy"]),
        (("abcd", "bc"), ["ab", "c"], ["", "a"]),
        (("\n\n",), ["one\n", "\ntwo"], ["one", ""]),
    ],
)
def test_text_is_shown_as_soon_as_it_cannot_become_part_of_a_stop(
    stops: tuple[str, ...], pieces: list[str], shown: list[str]
) -> None:
    found, texts = [], StopTexts(stops)
    for piece in pieces:
        found.append(texts.push(piece))
        if texts.found:
            break
    else:
        found.append(texts.end())
    assert found == shown


def test_however_a_text_is_cut_it_ends_before_the_first_stop() -> None:
    rng = random.Random(1)
    for _ in range(500):
        text = "".join(rng.choices("ab", k=12))
        stops = tuple("".join(rng.choices("ab", k=rng.randint(2, 5))) for _ in range(2))
        found, texts, place = "", StopTexts(stops), 0
        while place < len(text) and not texts.found:
            size = rng.randint(1, 3)
            found += texts.push(text[place : place + size])
            place += size
        expected = text
        if texts.found:
            expected = text[: min(text.find(stop) for stop in stops if stop in text[:place])]
        assert found + texts.end() == expected
        assert texts.found == any(stop in text for stop in stops)
