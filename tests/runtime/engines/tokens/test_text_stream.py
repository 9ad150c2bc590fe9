"""Text comes in whole characters, and all of it comes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.engines.tokens.text_stream import TextStream
from runtime.engines.tokens.tokenizer import TextTokenizer, open_tokenizer
from tests.support.byte_pair_tokenizers import EOS, TEXTS, write_tokenizer


@pytest.fixture(scope="module", params=["bytes", "metaspace"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return open_tokenizer(write_tokenizer(tmp_path_factory.mktemp("tokenizer"), style=request.param, eos_token=EOS))


def pieces(tokenizer: TextTokenizer, tokens: list[int]) -> list[str]:
    stream = TextStream(tokenizer)
    return [*(stream.push(token) for token in tokens), stream.end()]


@pytest.mark.parametrize("text", TEXTS)
def test_a_character_comes_when_it_is_whole(text: str, tokenizer: TextTokenizer) -> None:
    found = pieces(tokenizer, tokenizer.encode(text))
    assert "".join(found) == tokenizer.decode(tokenizer.encode(text))
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in found)
    assert found[-1] == ""


def test_a_character_that_stays_half_comes_at_the_end(tokenizer: TextTokenizer) -> None:
    tokens = tokenizer.encode("a🦊")[:-1]
    found = pieces(tokenizer, tokens)
    assert found[-1].strip("\N{REPLACEMENT CHARACTER}") == "" != found[-1]
    assert "".join(found) == tokenizer.decode(tokens)


def test_special_tokens_give_no_text_and_lose_no_space(tokenizer: TextTokenizer) -> None:
    end = tokenizer.eos
    assert end is not None
    tokens = tokenizer.encode("The sign", complete=True)
    mixed = [end, *(each for token in tokens for each in (token, end))]
    assert "".join(pieces(tokenizer, mixed)) == tokenizer.decode(mixed)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_tokens_of_bytes_give_the_text_of_all(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "stream"
    tokenizer = open_tokenizer(folder if folder.exists() else write_tokenizer(folder, eos_token=EOS))
    tokens = data.draw(st.lists(st.sampled_from(list(tokenizer.ordinary)), max_size=24))
    assert "".join(pieces(tokenizer, tokens)) == tokenizer.decode(tokens)
