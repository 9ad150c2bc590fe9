"""The special and added tokens that a tokenizer's files name, as transformers puts them together from all of them."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from runtime.documents.checked_json import Node, read_document

TOKENIZER_CONFIG = "tokenizer_config.json"
# Files of transformers before 5, read where tokenizer_config.json has no `added_tokens_decoder`.
SPECIAL_TOKENS_MAP, ADDED_TOKENS = "special_tokens_map.json", "added_tokens.json"
NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
EXTRA, EXTRA_BEFORE_5 = "extra_special_tokens", "additional_special_tokens"

Token = AddedToken | str


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecialTokens:
    """`named`: the tokens with a role, e.g. `eos_token`; `extra`: special ones without; `added`: all that stand beside
    the vocabulary, in the order of their ids."""

    named: Mapping[str, Token]
    extra: tuple[Token, ...]
    added: tuple[AddedToken, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """All special tokens, each once."""
        return tuple(dict.fromkeys(str(token) for token in (*self.named.values(), *self.extra)))

    def add_to(self, backend: Tokenizer) -> None:
        """Add the tokens that `backend` lacks, and give those that it has the properties said here."""
        tokens: list[Token] = list(self.added)
        known = {token.content for token in backend.get_added_tokens_decoder().values()} | set(map(str, tokens))
        others = {str(token): token for token in reversed((*self.named.values(), *self.extra))}
        tokens += [others[text] for text in self.texts if text not in known]
        roles = set(map(str, self.named.values()))
        backend.add_tokens([_ready(token, roles) for token in tokens])


def read_special_tokens(
    folder: Path, stored: Sequence[Mapping[str, Any]], defaults: Mapping[str, str]
) -> SpecialTokens:
    """The tokens that the files in `folder` name; `stored` are the `added_tokens` of tokenizer.json, `defaults` the
    roles that a class of tokenizers fills where the files are silent. Raises DocumentError."""
    config = _fields(folder / TOKENIZER_CONFIG)
    by_id: dict[int, AddedToken] = {}
    if "added_tokens_decoder" in config:
        by_id = {int(token): _added(node) for token, node in config["added_tokens_decoder"].items()}
    else:
        config |= {name: node for name, node in _fields(folder / SPECIAL_TOKENS_MAP).items() if name != EXTRA}
    roles, extra = _roles(config), _extra(config)
    if "added_tokens_decoder" not in config:
        special = {str(token) for token in (*roles.values(), *extra)}
        by_id = {node.integer(): _plain(text, text in special) for text, node in _fields(folder / ADDED_TOKENS).items()}
        by_id |= {one["id"]: AddedToken(**{key: one[key] for key in one if key != "id"}) for one in stored}
    by_text = {token.content: token for token in by_id.values()}
    roles = {**{name: token for name, token in defaults.items() if name not in config}, **roles}
    ordered = {name: roles[name] for name in (*NAMES, *roles) if name in roles}
    return SpecialTokens(
        named={name: by_text.get(str(token), token) if name in NAMES else token for name, token in ordered.items()},
        extra=extra,
        added=tuple(by_id[token] for token in sorted(by_id)),
    )


def _fields(path: Path) -> dict[str, Node]:
    """The fields of a document; none where there is no file."""
    return dict(read_document(path).items()) if path.is_file() else {}


def _roles(config: Mapping[str, Node]) -> dict[str, Token]:
    """The tokens with a role: all keys that end in `_token`, and those that `extra_special_tokens` gives names."""
    found = {name: _token(node) for name, node in config.items() if name.endswith("_token") and _says_token(node)}
    extra = config.get(EXTRA)
    named = extra.items() if extra is not None and isinstance(extra.value, Mapping) else ()
    return {**found, **{name: _token(node) for name, node in named}}


def _extra(config: Mapping[str, Node]) -> tuple[Token, ...]:
    node = config.get(EXTRA)
    if node is None or not node.value:
        node = config.get(EXTRA_BEFORE_5)
    listed = () if node is None or not node.value or isinstance(node.value, Mapping) else node.elements()
    return tuple(_token(one) for one in listed)


def _says_token(node: Node) -> bool:
    return isinstance(node.value, str | Mapping)


def _token(node: Node) -> Token:
    return _added(node) if isinstance(node.value, Mapping) else node.string()


def _added(node: Node) -> AddedToken:
    """A token with its properties; `__type` is what transformers marks such a value with."""
    flags = {name: one.boolean() for name, one in node.without("__type", "content", "id").items()}
    return AddedToken(node.require("content").string(), **flags)


def _plain(text: str, special: bool) -> AddedToken:
    return AddedToken(text, rstrip=False, lstrip=False, normalized=not special, special=special)


def _ready(token: Token, roles: Set[str]) -> AddedToken:
    """The token as an added one; one with a role is special."""
    if isinstance(token, str):
        return AddedToken(token, special=True)
    if not token.special and token.content in roles:
        token.special = True
    return token
