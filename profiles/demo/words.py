"""Builds the demo model's tokenizer: byte-level BPE whose merges spell the words of the tasks."""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from profiles.datasets.digits.tasks import template_words

PAD_TOKEN = "<|padding|>"
END_TOKEN = "<|endoftext|>"
IMAGE_TOKENS = ("<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<|image|>")
"""They follow the rows of the main embedding, in this order, as in MolmoE's own tokenizer."""


def _merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Merges that grow each word from its leading space letter by letter.

    Every left part starts with the space, so the merges of one word cannot break another, and any text still falls
    apart into bytes.
    """
    merges: dict[tuple[str, str], None] = {}
    for word in words:
        grown = "Ġ"
        for letter in word:
            merges[grown, letter] = None
            grown += letter
    return sorted(merges, key=lambda pair: (len(pair[0]), pair))


def build_tokenizer(embedding_size: int) -> PreTrainedTokenizerFast:
    """The tokenizer of a model whose main embedding has `embedding_size` rows.

    Ids: 0 reserved, 1 padding, 2–257 bytes, then words, last the end token (which also begins a text), fillers, and the
    image tokens. Raises ValueError when the words do not fit.
    """
    merges = _merges(template_words())
    pieces = [
        "<|reserved|>",
        PAD_TOKEN,
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
        *(left + right for left, right in merges),
        END_TOKEN,
    ]
    if len(pieces) > embedding_size:
        raise ValueError(f"the tokenizer needs {len(pieces)} rows: the embedding has {embedding_size}")
    fillers = [f"|<EXTRA_TOKENS_{number}>|" for number in range(embedding_size - len(pieces))]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|reserved|>", PAD_TOKEN, END_TOKEN, *fillers, *IMAGE_TOKENS]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_TOKEN,
        pad_token=PAD_TOKEN,
        additional_special_tokens=list(IMAGE_TOKENS),
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )


def vocabulary_size(tokenizer: PreTrainedTokenizerFast) -> int:
    """Number of ids up to and including the end token: MolmoE's `vocab_size`."""
    return int(tokenizer.eos_token_id) + 1


def save_tokenizer(folder: Path, embedding_size: int) -> PreTrainedTokenizerFast:
    """Builds the tokenizer and writes its files into `folder`."""
    tokenizer = build_tokenizer(embedding_size)
    tokenizer.save_pretrained(folder)
    return tokenizer
