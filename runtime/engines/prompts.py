"""Questions as the arrays that engines read, chats as questions, and tokens as text: by the files of a variant's
folder, without torch and transformers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.documents.checked_json import Node, read_document
from runtime.documents.family_layout import CONFIG, GENERATION_CONFIG
from runtime.documents.graph_contract import INPUT_IDS
from runtime.engines.protocol import Array, Prompt
from runtime.engines.tokens.chat import Messages, find_template, molmoe_chat, plain_chat
from runtime.engines.tokens.text_stream import TextStream
from runtime.engines.tokens.tokenizer import TextTokenizer, open_tokenizer
from runtime.errors import DocumentError, MissingPackageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from runtime.engines.molmoe_prompts import MolmoePrompts
    from runtime.modeling.crops_trimoe_molmoe import CropSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A text, already filled in, and the picture (of any mode with 8 bits a channel) that it is about, if any."""

    text: str
    image: "Image | None" = None


class PromptReader:
    """Turns questions into prompts and tokens into text; may be used by several threads.

    A question to MolmoE is read as it was trained to be asked, ` User: … Assistant:`, unless it is written so already;
    that to a family of text with what its tokenizer puts around a text, unless it already begins with the token that
    begins one. So what `chat_text` returns is read as it is.
    """

    def __init__(self, folder: Path, *, config: Mapping[str, Any] | None = None) -> None:
        """Read the tokenizer and processor files in a variant's folder, or in a source's with the `config` that a
        variant of it would have. Raises DocumentError for files that are not
        what they must be, MissingPackageError where pillow is missing for a family that takes images, or transformers
        for a tokenizer that it alone can open."""
        self._tokenizer = open_tokenizer(folder)
        self._images = _image_prompts(folder, self._tokenizer, config)
        self._template = find_template(folder)
        self.ends = _end_tokens(folder, self._tokenizer.eos)
        self.context_tokens = context_tokens(_config(folder, config))

    @property
    def software(self) -> Mapping[str, str]:
        """The version of tokenizers, and of transformers where it opened the tokenizer."""
        return self._tokenizer.software

    @property
    def crop_settings(self) -> "CropSettings | None":
        """How images are cut into crops; None for families of text."""
        return None if self._images is None else self._images.settings

    @property
    def has_chat_template(self) -> bool:
        """Whether the tokenizer carries a template of its own for chats."""
        return self._template is not None

    @property
    def ordinary_tokens(self) -> Sequence[int]:
        """The ids of tokens that stand for text."""
        return self._tokenizer.ordinary

    def read(self, questions: Iterable[Question], *, variant: str) -> tuple[Prompt, ...]:
        """The questions as prompts for `variant`, in order. Raises ValueError for an image that cannot be used."""
        return tuple(Prompt(variant=variant, arrays=self._arrays(question)) for question in questions)

    def chat_text(self, messages: Messages) -> str:
        """The text of a question that continues a conversation; each message has a `role` and, as text, its `content`.

        By the tokenizer's own template; without one, MolmoE's style of prompts, or the texts one under the other.
        Raises DocumentError, naming the file, for a template that fails or refuses the messages, MissingPackageError
        for a template without jinja2.
        """
        if self._template is not None:
            return self._template.render(messages, named=self._tokenizer.named)
        return plain_chat(messages) if self._images is None else molmoe_chat(messages)

    def token_count(self, text: str) -> int:
        """How many tokens a text has, without those that begin or end one."""
        return len(self._tokenizer.encode(text, complete=True))

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of tokens, without special ones."""
        return [self._tokenizer.decode(row) for row in rows]

    def text_stream(self) -> TextStream:
        """The text of one answer, token by token."""
        return TextStream(self._tokenizer)

    def _arrays(self, question: Question) -> Mapping[str, Array]:
        if self._images is not None:
            return self._images.arrays(question.text, question.image)
        if question.image is not None:
            raise ValueError("a picture for a family that reads no images")
        begin = self._tokenizer.named.get("bos_token")
        complete = begin is not None and question.text.startswith(begin)
        return {INPUT_IDS: np.array(self._tokenizer.encode(question.text, complete=complete), np.int64)}


def _config(folder: Path, config: Mapping[str, Any] | None) -> Node:
    """The config in a folder, or the one given in its place."""
    path = folder / CONFIG
    return read_document(path) if config is None else Node(value=dict(config), file=str(path))


def context_tokens(config: Node) -> int | None:
    """The most tokens that a prompt and its answer may have together; None where the config does not say."""
    named = (config.get(name) for name in ("max_position_embeddings", "max_sequence_length"))
    return min((node.integer(minimum=1) for node in named if node is not None and node.value is not None), default=None)


def _image_prompts(folder: Path, tokenizer: TextTokenizer, config: Mapping[str, Any] | None) -> "MolmoePrompts | None":
    """What reads images, as config.json says; None for families of text."""
    path, node = folder / CONFIG, _config(folder, config)
    named = node.get("auto_map")
    processor = None if named is None else named.get("AutoProcessor")
    if processor is None:
        return None
    try:
        from runtime.engines.molmoe_prompts import PROCESSOR_CLASS, MolmoePrompts
    except ImportError as error:
        raise MissingPackageError.of(error, needed_by="reading images", extras="cpu") from error
    if processor.value != PROCESSOR_CLASS:
        raise DocumentError(f"{path}: auto_map.AutoProcessor: {processor.value!r} is no class that this trimoe has")
    return MolmoePrompts(folder, tokenizer)


def _end_tokens(folder: Path, default: int | None) -> frozenset[int]:
    """The tokens that end an answer: of generation_config.json, else of config.json, else the tokenizer's."""
    for name in (GENERATION_CONFIG, CONFIG):
        if (folder / name).is_file():
            node = read_document(folder / name).get("eos_token_id")
            if node is not None and node.value is not None:
                return frozenset(one.integer(minimum=0) for one in _listed(node))
    return frozenset(() if default is None else (default,))


def _listed(node: Node) -> tuple[Node, ...]:
    return node.elements() if isinstance(node.value, list) else (node,)
