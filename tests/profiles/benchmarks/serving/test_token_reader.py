"""Texts of token ids."""

from profiles.benchmarks.serving.token_reader import TokenReader
from runtime.documents.graph_contract import INPUT_IDS
from runtime.engines.prompts import Question


def test_a_text_is_its_ids() -> None:
    reader = TokenReader()
    (prompt,) = reader.read([Question(text="7 11 3")], variant="b2-k1")
    assert (prompt.variant, prompt.arrays[INPUT_IDS].tolist()) == ("b2-k1", [7, 11, 3])
    assert reader.chat_text([{"role": "user", "content": "1 2"}, {"role": "user", "content": "3"}]) == "1 2 3"
    assert (reader.ends, reader.crop_settings, reader.texts([[1], [2]])) == (frozenset(), None, ["", ""])
