"""A tokenizer of single ASCII characters with MolmoE's image tokens, laid out as the real one: they come after the
embedding table."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

IMAGE_TOKENS = ("<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<|image|>")


def tiny_tokenizer(embedding_size: int = 128) -> PreTrainedTokenizerFast:
    """Byte-level, one token a character. No bos token; eos doubles as one. Ids of `IMAGE_TOKENS` start at
    `embedding_size`."""
    tokens = [
        "<|endoftext|>",
        "<|padding|>",
        "\u0120",
        *(chr(code) for code in range(33, 127)),
    ]  # U+0120 stands for a space
    tokens += [f"<filler{index}>" for index in range(embedding_size - len(tokens))]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|padding|>")
    fast.add_tokens(list(IMAGE_TOKENS), special_tokens=True)
    return fast


def write_tiny_processor_files(folder: Path, *, embedding_size: int = 128) -> Path:
    """Write the tokenizer, and a preprocessor_config.json with the hub's fields that fits `write_tiny_molmoe`'s default
    sizes."""
    tiny_tokenizer(embedding_size).save_pretrained(folder)
    config = {
        "auto_map": {
            "AutoImageProcessor": "image_preprocessing_molmo.MolmoImageProcessor",
            "AutoProcessor": "preprocessing_molmo.MolmoProcessor",
        },
        "base_image_input_size": [24, 24],
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_padding_mask": True,
        "image_patch_size": 4,
        "image_processor_type": "MolmoImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_token_length_h": 3,
        "image_token_length_w": 3,
        "max_crops": 6,
        "overlap_margins": [2, 2],
        "processor_class": "MolmoProcessor",
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=2), "utf-8")
    return folder
