"""Chat templates are rendered as transformers renders them, and what fails in them is said with their file."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedConfig

from runtime.engines.tokens.chat import find_template
from runtime.errors import DocumentError, MissingPackageError
from tests.support.byte_pair_tokenizers import EOS, write_tokenizer

MESSAGES = [
    {"role": "system", "content": "Be <brief> & kind."},
    {"role": "user", "content": "Hi", "name": None},
    {"role": "assistant", "content": "Yes"},
    {"role": "user", "content": "Why?"},
]
TEMPLATES = {
    "plain": "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m['content'] }}\n{% endfor %}{{ eos_token }}",
    "blocks": "{% for m in messages %}\n  {% if m.role == 'user' %}\nQ {{ m | tojson }}\n  {% endif %}\n{% endfor %}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
    "{% endgeneration %}{% else %}{% continue %}{% endif %}{% endfor %}",
    "prompt": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}"
    "{% if add_generation_prompt %}A:{% endif %}{{ strftime_now('%Y') | length }}{{ tools is none }}",
}


def folder_with(template: Any, folder: Path) -> Path:
    return write_tokenizer(folder, eos_token=EOS, bos_token=EOS, chat_template=template)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("place", ["config", "file", "list"])
def test_the_text_is_that_of_transformers(name: str, place: str, tmp_path: Path) -> None:
    source: Any = TEMPLATES[name]
    if place == "list":
        source = [{"name": "default", "template": source}, {"name": "rag", "template": "x"}]
    folder = folder_with("overruled" if place == "file" else source, tmp_path)
    if place == "file":
        (folder / "chat_template.jinja").write_text(source, "utf-8")
    template = find_template(folder)
    assert template is not None
    tokenizer = AutoTokenizer.from_pretrained(folder, config=PreTrainedConfig(), local_files_only=True)
    expected = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert template.render(MESSAGES, named={"bos_token": EOS, "eos_token": EOS}) == expected


def test_without_a_template_there_is_none(tmp_path: Path) -> None:
    assert find_template(write_tokenizer(tmp_path, eos_token=EOS)) is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% if %}", r"tokenizer_config\.json: chat_template: TemplateSyntaxError: "),
        ("{{ raise_exception('roles must\nalternate') }}", r"TemplateError: roles must alternate"),
        ("{{ messages.append(1) }}", r"SecurityError: "),
        ("{{ ''.__class__.__mro__ }}", r"SecurityError: "),
        ("{{ 1 // 0 }}", r"ZeroDivisionError: "),
        ("x" * (1 << 21), r"chat_template: 2097152 characters; at most 1048576"),
        ([{"name": "rag", "template": "x"}], r"several templates and none called default: rag"),
        (3, r"chat_template.*: expected a string"),
    ],
)
def test_a_template_that_fails_is_named(source: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=message):
        found = find_template(folder_with(source, tmp_path))
        assert found is not None
        found.render(MESSAGES, named={})


def test_a_template_without_jinja2_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = find_template(folder_with(TEMPLATES["plain"], tmp_path))
    assert template is not None
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match=r"needs the package jinja2, .*pip install 'trimoe\[cpu\]'"):
        template.render(json.loads(json.dumps(MESSAGES)), named={})
