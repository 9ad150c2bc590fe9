"""MolmoE's prompts from the files of a variant's folder, without transformers: what modeling/'s processor makes of one
question, by the same code."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.documents.checked_json import read_document
from runtime.documents.graph_contract import IMAGE_MASKS
from runtime.engines.protocol import Array
from runtime.engines.tokens.tokenizer import TextTokenizer
from runtime.errors import DocumentError
from runtime.modeling.crops_trimoe_molmoe import cut, to_rgb
from runtime.modeling.image_settings_trimoe_molmoe import crop_settings, with_defaults
from runtime.modeling.prompts_trimoe_molmoe import IMAGE_PROMPT, TOKEN_NAMES, first_token, format_prompt, interleave

if TYPE_CHECKING:
    from PIL.Image import Image

PROCESSOR_CLASS = "processing_trimoe_molmoe.TrimoeMolmoeProcessor"
PROCESSOR, PREPROCESSOR = "processor_config.json", "preprocessor_config.json"
QUESTION, ANSWER = "User:", "Assistant:"


class MolmoePrompts:
    """Makes arrays of questions; may be used by several threads."""

    def __init__(self, folder: Path, tokenizer: TextTokenizer) -> None:
        """Read the image settings in `folder`. Raises DocumentError for settings that do not fit together and for a
        tokenizer without MolmoE's tokens."""
        path, fields = _image_fields(folder)
        try:
            complete = with_defaults(fields)
            self.settings, self._masks = crop_settings(complete), complete["image_padding_mask"]
            self._first = first_token(tokenizer.bos, tokenizer.eos)
        except (ValueError, TypeError) as error:
            raise DocumentError(f"{path}: {error}") from error
        self._tokenizer = tokenizer
        self._image_tokens = np.array([self._token(folder, TOKEN_NAMES[kind]) for kind in sorted(TOKEN_NAMES)])
        self._mark = self._token(folder, IMAGE_PROMPT)

    def arrays(self, text: str, image: "Image | None") -> Mapping[str, Array]:
        """The arrays of a Prompt; a text that already begins with `User:` and ends with `Assistant:` is taken as it is.
        Raises ValueError for an image that cannot be used, naming its size or mode."""
        crops = [] if image is None else [cut(to_rgb(image), self.settings)]
        ids = self._tokenizer.encode(_formatted(text), complete=True)
        every = np.array([self._first, *ids], np.int64)
        arrays = interleave(every, crops, image_tokens=self._image_tokens, mark=self._mark)
        return {name: value for name, value in arrays.items() if name != IMAGE_MASKS or self._masks}

    def _token(self, folder: Path, name: str) -> int:
        token = self._tokenizer.find(name)
        if token is None:
            raise DocumentError(f"{folder}: the tokenizer has no token {name!r}, which MolmoE needs")
        return token


def _formatted(text: str) -> str:
    stripped = text.strip()
    if stripped.startswith(QUESTION) and stripped.endswith(ANSWER):
        return format_prompt(stripped, "none")
    return format_prompt(text)


def _image_fields(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    """The image settings and their file: where transformers looks for them, nested in processor_config.json first."""
    path = folder / PROCESSOR
    nested = read_document(path).get("image_processor") if path.is_file() else None
    if nested is not None:
        return path, {name: one.value for name, one in nested.items()}
    path = folder / PREPROCESSOR
    return path, {name: one.value for name, one in read_document(path).items()}
