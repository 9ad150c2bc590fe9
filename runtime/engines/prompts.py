"""Requests as the arrays that engines read, and tokens as text: the processor or tokenizer of a variant's folder."""

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.documents.checked_json import Node, read_document
from runtime.documents.family_layout import CONFIG, GENERATION_CONFIG
from runtime.documents.graph_contract import ATTENTION_MASK
from runtime.engines.modeling_classes import find_modeling_class
from runtime.engines.protocol import Prompt
from runtime.errors import DocumentError, MissingPackageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from runtime.modeling.crops_trimoe_molmoe import CropSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A question, already filled in, and the picture (RGB) that it is about, if any."""

    text: str
    image: "Image | None" = None


class PromptReader:
    """Turns requests into prompts and tokens into text, one call at a time: tokenizers are not for several threads."""

    def __init__(self, folder: Path) -> None:
        """Read the processor or tokenizer files in a variant's folder. Raises DocumentError for files that are not what
        they must be, MissingPackageError without transformers."""
        try:
            self._processor, self._tokenizer = _open_processor(folder)
        except ImportError as error:
            raise MissingPackageError.of(error, needed_by="tokenizers", extras="export,cpu") from error
        self.ends = _end_tokens(folder, self._tokenizer.eos_token_id)

    @property
    def software(self) -> Mapping[str, str]:
        """The version of transformers, whose tokenizers are used."""
        return {"transformers": importlib.metadata.version("transformers")}

    @property
    def crop_settings(self) -> "CropSettings | None":
        """How images are cut into crops; None for families of text."""
        settings: CropSettings | None = None if self._processor is None else self._processor.image_processor.settings()
        return settings

    @property
    def ordinary_tokens(self) -> Sequence[int]:
        """The ids of tokens that stand for text."""
        special = set(self._tokenizer.all_special_ids)
        return [token for token in range(self._tokenizer.vocab_size) if token not in special]

    def read(self, requests: Iterable[Request], *, variant: str) -> tuple[Prompt, ...]:
        """The requests as prompts for `variant`, in order."""
        return tuple(Prompt(variant=variant, arrays=self._arrays(request)) for request in requests)

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of tokens, without special ones."""
        return [str(text) for text in self._tokenizer.batch_decode(rows, skip_special_tokens=True)]

    def _arrays(self, request: Request) -> Mapping[str, Any]:
        if self._processor is None:
            batch = self._tokenizer([request.text], return_tensors="np", return_token_type_ids=False)
        else:
            batch = self._processor(text=[request.text], images=[request.image], return_tensors="np")
        return {name: value[0] for name, value in batch.items() if name != ATTENTION_MASK}


def _open_processor(folder: Path) -> tuple[Any, Any]:
    """The processor (None for families of text) and its tokenizer."""
    from transformers import AutoTokenizer, PreTrainedConfig

    file = folder / CONFIG
    config = read_document(file).value
    packaged = find_modeling_class(config, "AutoProcessor", file=str(file), error=DocumentError)
    if packaged is not None:
        processor = packaged.from_pretrained(folder, local_files_only=True)
        return processor, processor.tokenizer
    return None, AutoTokenizer.from_pretrained(folder, config=PreTrainedConfig(), local_files_only=True)


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
