"""Tokenizers as transformers builds them: of some classes it takes only vocabulary and merges from tokenizer.json and
puts the rest in place itself.

Sources: transformers 5, `models/{gpt_neox,qwen2,llama}/tokenization_*.py` and `tokenization_utils_tokenizers.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

# What an own class of transformers builds from: the document tokenizer.json and the fields of tokenizer_config.json.
Build = Callable[[Mapping[str, Any], Mapping[str, Any]], Tokenizer]
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPACE = "\u2581"


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerClass:
    """One of transformers' classes: how it builds (None: from tokenizer.json as it is), the tokens it gives a role
    where the files do not, and whether it drops what tokenizer.json puts around a text."""

    build: Build | None = None
    roles: Mapping[str, str]
    bare: bool = False


def _gpt_neox(stored: Mapping[str, Any], config: Mapping[str, Any]) -> Tokenizer:
    tokenizer = Tokenizer(_byte_pairs(stored, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=config.get("add_prefix_space", False), trim_offsets=config.get("trim_offsets", True)
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _qwen2(stored: Mapping[str, Any], config: Mapping[str, Any]) -> Tokenizer:
    tokenizer = Tokenizer(_byte_pairs(stored, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False))
    tokenizer.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(QWEN2_WORDS), behavior="isolated", invert=False)
    prefix = bool(config.get("add_prefix_space"))
    letters = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, letters])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _llama(stored: Mapping[str, Any], config: Mapping[str, Any]) -> Tokenizer:
    tokenizer = Tokenizer(_byte_pairs(stored, fuse_unk=True, byte_fallback=True))
    given = config.get("add_prefix_space")
    prefix = True if given is None else given
    scheme = ("always" if config.get("legacy", False) else "first") if prefix else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme, split=False)
    parts = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*parts, decoders.Strip(content=" ", left=1)] if prefix else parts)
    return tokenizer


def _byte_pairs(stored: Mapping[str, Any], **options: Any) -> models.BPE:
    model = stored["model"]
    merges: Any = [tuple(one.split(" ")) if isinstance(one, str) else tuple(one) for one in model["merges"]]
    return models.BPE(vocab=model["vocab"], merges=merges, dropout=None, **options)


_END = "<|endoftext|>"
AS_STORED = TokenizerClass(roles={})
CLASSES: Mapping[str, TokenizerClass] = {
    "TokenizersBackend": AS_STORED,
    "PreTrainedTokenizer": AS_STORED,
    "GPTNeoXTokenizer": TokenizerClass(
        build=_gpt_neox,
        roles={"unk_token": _END, "bos_token": _END, "eos_token": _END, "pad_token": "<|padding|>"},
        bare=True,
    ),
    "Qwen2Tokenizer": TokenizerClass(build=_qwen2, roles={"unk_token": _END, "eos_token": _END, "pad_token": _END}),
    "LlamaTokenizer": TokenizerClass(
        build=_llama, roles={"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    ),
}


def find_class(stored: str, config: Mapping[str, Any]) -> TokenizerClass | None:
    """The class by which transformers reads the text `stored` of a tokenizer.json beside the fields `config`; None
    where that is a class which is not built here."""
    known = {"auto_map", "fast_tokenizer_files"}.isdisjoint(config)
    name = str(config.get("tokenizer_class") or "TokenizersBackend").removesuffix("Fast")
    if name == "LlamaTokenizer" and '"ByteLevel"' in stored:
        return AS_STORED if known else None
    return CLASSES.get(name) if known else None
