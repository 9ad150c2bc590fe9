"""A family's tokenizer, by its files alone: the same ids and texts as transformers' AutoTokenizer, without it."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from runtime.documents.checked_json import parse_document, read_bytes, read_document
from runtime.engines.tokens.special_tokens import TOKENIZER_CONFIG, read_special_tokens
from runtime.engines.tokens.tokenizer_classes import AS_STORED, TokenizerClass, find_class
from runtime.errors import DocumentError, MissingPackageError

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextTokenizer:
    """Text to ids and back; may be used by several threads. `named`: the tokens with a role, e.g. `eos_token`, that
    chat templates may use; `special`: those that are not text; `software`: what did the work, with its version."""

    backend: Tokenizer
    named: Mapping[str, str]
    special: tuple[str, ...]
    software: Mapping[str, str]

    def encode(self, text: str, *, complete: bool = False) -> list[int]:
        """The ids of a text, with what the tokenizer puts around it unless the text is `complete`."""
        return list(self.backend.encode(text, add_special_tokens=not complete).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ids, without special tokens."""
        return str(self.backend.decode(list(tokens), skip_special_tokens=True))

    def find(self, text: str | None) -> int | None:
        """The id of a token by its text; None where there is none."""
        token = None if text is None else self.backend.token_to_id(text)
        return None if token is None else int(token)

    @property
    def bos(self) -> int | None:
        """The id of the token that begins a text, if any."""
        return self.find(self.named.get("bos_token"))

    @property
    def eos(self) -> int | None:
        """The id of the token that ends a text, if any."""
        return self.find(self.named.get("eos_token"))

    @property
    def ordinary(self) -> Sequence[int]:
        """The ids of the vocabulary that stand for text."""
        special = {self.find(text) for text in self.special}
        return [token for token in range(self.backend.get_vocab_size(with_added_tokens=False)) if token not in special]


def open_tokenizer(folder: Path) -> TextTokenizer:
    """The tokenizer of the files in `folder`.

    Files that transformers reads by a class of its own beside CLASSES, or that hold no tokenizer.json, need
    transformers. Raises DocumentError for files that are not what they must be, MissingPackageError without
    transformers.
    """
    config = read_document(folder / TOKENIZER_CONFIG).value if (folder / TOKENIZER_CONFIG).is_file() else {}
    path = folder / TOKENIZER
    text = read_bytes(path).decode("utf-8", "replace") if path.is_file() else None
    kind = None if text is None else find_class(text, config)
    if text is None or kind is None:
        return _by_transformers(folder)
    stored = parse_document(text.encode(), file=str(path)).value
    kind = kind if isinstance(stored.get("model"), Mapping) else AS_STORED
    if (kind is not AS_STORED and stored["model"].get("type") != "BPE") or _cleans_up(stored, config):
        return _by_transformers(folder)
    special = read_special_tokens(folder, stored.get("added_tokens", []), kind.roles)
    try:
        backend = Tokenizer.from_str(text) if kind.build is None else _build(kind, stored, config)
        special.add_to(backend)
    except Exception as error:  # the library's own errors have no class of their own
        raise DocumentError(f"{path}: not a tokenizer: {error}") from error
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = bool(config.get("split_special_tokens", False))
    return TextTokenizer(
        backend=backend,
        named={name: str(token) for name, token in special.named.items()},
        special=special.texts,
        software={"tokenizers": importlib.metadata.version("tokenizers")},
    )


def _cleans_up(stored: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether texts are changed once more behind the tokenizer: spaces before punctuation, except after byte pairs."""
    model = stored.get("model")
    return bool(config.get("clean_up_tokenization_spaces")) and (model or {}).get("type") != "BPE"


def _build(kind: TokenizerClass, stored: Mapping[str, Any], config: Mapping[str, Any]) -> Tokenizer:
    """A tokenizer by its class, with what tokenizer.json puts around texts unless the class drops it."""
    assert kind.build is not None
    backend = kind.build(stored, config)
    if not kind.bare and stored.get("post_processor") is not None:
        shell = {**stored, "model": {**stored["model"], "vocab": {}, "merges": []}, "added_tokens": []}
        backend.post_processor = Tokenizer.from_str(json.dumps(shell)).post_processor
    return backend


def _by_transformers(folder: Path) -> TextTokenizer:
    """The tokenizer as transformers opens it. Raises MissingPackageError without transformers, DocumentError for a
    tokenizer that the tokenizers library does not run."""
    try:
        from transformers import AutoTokenizer, PreTrainedConfig
    except ImportError as error:
        raise MissingPackageError.of(
            error, needed_by=f"{folder}: a tokenizer of a class of its own, or without {TOKENIZER},", extras="export"
        ) from error
    try:
        opened = AutoTokenizer.from_pretrained(folder, config=PreTrainedConfig(), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise DocumentError(f"{folder}: transformers opens no tokenizer: {error}") from error
    backend = getattr(opened, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise DocumentError(f"{folder}: {type(opened).__name__} is no tokenizer of the tokenizers library")
    return TextTokenizer(
        backend=backend,
        named={name: str(token) for name, token in opened.special_tokens_map.items() if isinstance(token, str)},
        special=tuple(map(str, opened.all_special_tokens)),
        software={name: importlib.metadata.version(name) for name in ("tokenizers", "transformers")},
    )
