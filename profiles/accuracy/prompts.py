"""Requests as the arrays a model reads: the family's own processor where it has one, else the tokenizer in the
variant's folder."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedConfig

from exporter.architectures.architecture import Architecture
from profiles.accuracy.engine import Request

_PROCESSOR = "AutoProcessor"


class PromptReader:
    """Turns requests into a padded batch, and token ids into text."""

    def __init__(self, folder: Path, architecture: Architecture) -> None:
        """Read the processor or tokenizer files in `folder`."""
        name = dict(architecture.variant_auto_map).get(_PROCESSOR)
        self._processor: Any = None
        if name is not None:
            module, _, attribute = name.partition(".")
            packaged = getattr(importlib.import_module(f"runtime.modeling.{module}"), attribute)
            self._processor = packaged.from_pretrained(folder, local_files_only=True)
        self.tokenizer: Any = self._processor.tokenizer if self._processor is not None else _text_tokenizer(folder)

    @property
    def pad_id(self) -> int:
        """The id that fills short rows; it is masked everywhere."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    def read(self, requests: Sequence[Request], *, side: str, kind: str) -> Mapping[str, Any]:
        """`input_ids`, `attention_mask` [batch, length] padded on `side` ("left", "right") and what images become;
        `kind` is "pt" or "np"."""
        prompts = [request.prompt for request in requests]
        if self._processor is None:
            return dict(
                self.tokenizer(
                    prompts, padding=True, padding_side=side, return_tensors=kind, return_token_type_ids=False
                )
            )
        images = [request.sample.open_image() for request in requests]
        return dict(self._processor(text=prompts, images=images, padding=True, padding_side=side, return_tensors=kind))

    def texts(self, rows: Any) -> list[str]:
        """The text of each row of ids, without special tokens."""
        return [str(text) for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]


def _text_tokenizer(folder: Path) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(folder, config=PreTrainedConfig(), local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
