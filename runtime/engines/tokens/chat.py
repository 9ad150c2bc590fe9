"""Messages as one text: by the chat template that a family's tokenizer carries, or plainly."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from runtime.documents.checked_json import read_bytes, read_document
from runtime.engines.tokens.special_tokens import TOKENIZER_CONFIG
from runtime.errors import DocumentError, MissingPackageError

TEMPLATE = "chat_template.jinja"
LONGEST = 1 << 20  # characters of a template

Messages = Sequence[Mapping[str, Any]]


class ChatTemplate:
    """A template as transformers renders it: jinja2 in a sandbox that lets templates change nothing and reach nothing
    but what they are given. Templates are foreign code: whatever fails in them is said with their file."""

    def __init__(self, file: str, source: str) -> None:
        """`file` says where the template stands. It is compiled when it is first used."""
        self.file, self._source = file, source

    def render(self, messages: Messages, *, named: Mapping[str, str]) -> str:
        """The text of `messages` (`role`, `content`, …) up to where the assistant's answer begins; `named` are the
        tokens with a role. Raises DocumentError for a template that refuses them or fails."""
        given = [{key: value for key, value in one.items() if value is not None} for one in messages]
        template = self._template
        try:
            text = template.render(messages=given, tools=None, documents=None, add_generation_prompt=True, **named)
        except Exception as error:  # a template can raise anything
            raise DocumentError(f"{self.file}: chat_template: {type(error).__name__}: {_line(error)}") from error
        return str(text)

    @cached_property
    def _template(self) -> Any:
        try:
            environment = _environment()
        except ImportError as error:
            raise MissingPackageError.of(error, needed_by=f"{self.file}: chat_template:", extras="cpu") from error
        try:
            return environment.from_string(self._source)
        except Exception as error:  # nor do parsers of foreign code fail in one way
            raise DocumentError(f"{self.file}: chat_template: {type(error).__name__}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _environment() -> Any:
    """The sandbox, with the functions that transformers gives to templates."""
    from jinja2 import nodes
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks answers for training; here they are text like any other."""

        tags = {"generation"}  # noqa: RUF012 - jinja2 reads it from the class

        def parse(self, parser: Any) -> Any:
            """The block's body in a scope of its own."""
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """JSON without the HTML escapes of jinja2's own filter."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def find_template(folder: Path) -> ChatTemplate | None:
    """The template of the files in `folder`: chat_template.jinja before that of tokenizer_config.json, of several the
    one called `default`; None where there is none. Raises DocumentError."""
    path = folder / TEMPLATE
    if path.is_file():
        return _template(str(path), _text(path))
    path = folder / TOKENIZER_CONFIG
    node = read_document(path).get("chat_template") if path.is_file() else None
    if node is None or node.value is None:
        return None
    if not isinstance(node.value, list):
        return _template(str(path), node.string())
    by_name = {one.require("name").string(): one.require("template").string() for one in node.elements()}
    if "default" not in by_name:
        node.fail(f"several templates and none called default: {', '.join(by_name)}")
    return _template(str(path), by_name["default"])


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: not UTF-8 at byte {error.start}") from error


def _template(file: str, source: str) -> ChatTemplate:
    if len(source) > LONGEST:
        raise DocumentError(f"{file}: chat_template: {len(source)} characters; at most {LONGEST}")
    return ChatTemplate(file, source)


def plain_chat(messages: Messages) -> str:
    """What stands for a template where a family of text has none: the texts, one under the other."""
    return "\n".join(_content(one) for one in messages)


def molmoe_chat(messages: Messages) -> str:
    """What stands for a template where MolmoE has none: its own style of prompts, ` User: … Assistant: … User: …
    Assistant:`; what the system says is put in front of the user's next words."""
    text, waiting = "", ""
    for one in messages:
        if one.get("role") == "assistant":
            text += f" Assistant: {_content(one)}"
        elif one.get("role") == "user":
            text, waiting = f"{text} User: {waiting}{_content(one)}", ""
        else:
            waiting += f"{_content(one)}\n"
    return f"{text}{f' User: {waiting.rstrip()}' if waiting else ''} Assistant:"


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""
