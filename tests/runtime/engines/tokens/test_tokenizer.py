"""Tokenizers give the ids and texts that transformers gives, by the same files."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedConfig

from runtime.engines.tokens.tokenizer import open_tokenizer
from runtime.errors import DocumentError, MissingPackageError
from tests.support.byte_pair_tokenizers import EOS, PAD, TEXTS, write_tokenizer
from tests.support.tiny_tokenizer import write_tiny_processor_files

ADDED = {"content": "<|im_end|>", "lstrip": False, "normalized": False, "rstrip": True, "single_word": False}
TOKEN = {"__type": "AddedToken", **ADDED, "content": "<|role|>", "special": True}
CASES: dict[str, dict[str, Any]] = {
    "as stored": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": EOS, "pad_token": PAD},
    "no class": {"eos_token": EOS},
    "around a text": {"template": f"{EOS} $A {PAD}", "eos_token": EOS, "add_bos_token": True},
    "new tokens": {
        "eos_token": "<end>",
        "bos_token": TOKEN,
        "extra_special_tokens": ["<a>", TOKEN | {"content": "x y"}],
    },
    "named extra tokens": {"eos_token": EOS, "extra_special_tokens": {"image_token": "<img>"}, "audio_token": "<au>"},
    "before 5": {"eos_token": EOS, "additional_special_tokens": ["<|im_start|>"]},
    "added decoder": {"eos_token": "<|im_end|>", "added_tokens_decoder": {"340": {**ADDED, "special": True}}},
    "split special": {"eos_token": EOS, "split_special_tokens": True},
    "gpt-neox": {"tokenizer_class": "GPTNeoXTokenizer", "template": f"{EOS} $A", "add_bos_token": True},
    "gpt-neox fast": {"tokenizer_class": "GPTNeoXTokenizerFast", "add_prefix_space": True, "unk_token": EOS},
    "qwen2": {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "bos_token": None, "errors": "replace"},
    "qwen2 around": {"tokenizer_class": "Qwen2TokenizerFast", "template": f"$A {EOS}", "add_prefix_space": True},
    "llama": {"tokenizer_class": "LlamaTokenizer", "style": "metaspace", "template": "<s> $A", "legacy": True},
    "llama first": {"tokenizer_class": "LlamaTokenizerFast", "style": "metaspace", "template": "<s> $A </s>"},
    "llama bare": {"tokenizer_class": "LlamaTokenizer", "style": "metaspace", "add_prefix_space": False},
    "llama of bytes": {"tokenizer_class": "LlamaTokenizer", "template": f"{EOS} $A", "bos_token": EOS},
}
STRANGE = (
    "",
    " ",
    "a<|im_end|> b",
    f"x{EOS}{PAD}y",
    "<s>hi</s>",
    "<end><a> x y<img>",
    "e\u0301 \u00e9 ﬁ\r\n",
    "\x00\ud7ff",
)


def check_equal(folder: Path, texts: tuple[str, ...]) -> None:
    found = open_tokenizer(folder)
    expected = AutoTokenizer.from_pretrained(folder, config=PreTrainedConfig(), local_files_only=True)
    for text in texts:
        ids = expected(text)["input_ids"]
        assert found.encode(text) == ids, text
        assert found.encode(text, complete=True) == expected.encode(text, add_special_tokens=False), text
        assert found.decode(ids) == expected.batch_decode([ids], skip_special_tokens=True)[0]
    assert (found.bos, found.eos) == (expected.bos_token_id, expected.eos_token_id)
    assert found.named == expected.special_tokens_map
    assert set(found.special) == set(expected.all_special_tokens)
    special = set(expected.all_special_ids)
    assert found.ordinary == [token for token in range(expected.vocab_size) if token not in special]


@pytest.mark.parametrize("case", CASES)
def test_ids_and_texts_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    check_equal(write_tokenizer(tmp_path, **CASES[case]), (*TEXTS, *STRANGE))


@pytest.mark.parametrize("files", [{}, {"special_tokens_map.json": {"eos_token": {**ADDED}, "unk_token": EOS}}])
def test_files_of_older_versions_count_where_the_newer_say_nothing(files: dict[str, Any], tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, tokenizer_class="PreTrainedTokenizerFast", pad_token=PAD)
    for name, content in (files | {"added_tokens.json": {"<|im_end|>": 340, "<|more|>": 341}}).items():
        (folder / name).write_text(json.dumps(content), "utf-8")
    check_equal(folder, (*TEXTS, *STRANGE))


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=40))
@pytest.mark.parametrize("case", ["gpt-neox", "qwen2", "llama", "as stored"])
def test_any_text_becomes_the_same_ids(case: str, text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / f"any-{case}"
    check_equal(folder if folder.exists() else write_tokenizer(folder, **CASES[case]), (text,))


def test_what_stands_in_for_the_real_tokenizer_of_molmoe_is_read_the_same(tmp_path: Path) -> None:
    check_equal(write_tiny_processor_files(tmp_path), ("Read <|image|> this.", "<im_patch>"))


@pytest.mark.parametrize("kind", ["a class that is not built here", "no tokenizer.json"])
def test_what_only_transformers_reads_says_so_without_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tokenizer(tmp_path, tokenizer_class="GPT2Tokenizer", eos_token=EOS)
    if kind == "no tokenizer.json":
        (folder / "tokenizer.json").unlink()
    else:
        check_equal(folder, TEXTS)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"without tokenizer.json, needs the package transformers"):
        open_tokenizer(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tokenizer.json", "{}", r"tokenizer\.json: not a tokenizer: "),
        ("tokenizer.json", "[", r"tokenizer\.json: "),
        ("tokenizer.json", '{"model": {"type": "BPE", "vocab": 3}}', r"tokenizer\.json: not a tokenizer: "),
        (
            "tokenizer_config.json",
            '{"eos_token": {"lstrip": true}}',
            r'config\.json: \["eos_token"\]: the key "content" is',
        ),
        ("tokenizer_config.json", '{"extra_special_tokens": [3]}', r'extra_special_tokens"\]\[0\]: expected a string'),
    ],
)
def test_files_that_hold_no_tokenizer_are_refused_by_name(name: str, text: str, message: str, tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, eos_token=EOS)
    (folder / name).write_text(text, "utf-8")
    with pytest.raises(DocumentError, match=message):
        open_tokenizer(folder)
