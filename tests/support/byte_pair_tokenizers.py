"""Small tokenizers of the kinds that families carry, trained on a few sentences, as files."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

TEXTS = (
    "The number on the sign is 0720, isn't it?",
    "  Two spaces,\ttabs and\n\nlines; déjà vu, Ελλάδα, 漢字とかな, 😀🎉.",
    "How many apples are there? They'll say: three (3)!",
)
BOS, EOS, PAD = "<|begin|>", "<|endoftext|>", "<|padding|>"


@cache
def _trained(style: str) -> str:
    tokenizer = Tokenizer(models.BPE(byte_fallback=style == "metaspace", unk_token=None, fuse_unk=style == "metaspace"))
    if style == "metaspace":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        tokenizer.decoder = decoders.Sequence(parts)
        letters = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
        trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=letters, show_progress=False)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        special = [EOS, PAD]
        trainer = trainers.BpeTrainer(
            vocab_size=340, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
    tokenizer.train_from_iterator(TEXTS, trainer)
    stored = json.loads(tokenizer.to_str())
    stored["added_tokens"] = [one for one in stored["added_tokens"] if not one["content"].startswith("<0x")]
    return json.dumps(stored)


def write_tokenizer(folder: Path, *, style: str = "bytes", template: str | None = None, **config: Any) -> Path:
    """tokenizer.json in the style `bytes` or `metaspace`, and tokenizer_config.json with these fields; `template` is
    what is put around a text, e.g. `<|endoftext|> $A`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_str(_trained(style))
    if template is not None:
        around = [(word, tokenizer.token_to_id(word)) for word in template.split() if word != "$A"]
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=around)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return folder
