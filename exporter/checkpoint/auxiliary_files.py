"""Auxiliary files (tokenizer, processor, …): which small files of a checkpoint folder travel with its variants, and
whether they can be read."""

import os
from fnmatch import fnmatchcase
from pathlib import Path

from exporter.checkpoint.lfs_pointer import refuse_pointer
from runtime.documents.checked_json import parse_document, read_bytes
from runtime.errors import CheckpointError

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
AUXILIARY = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.model",
    "chat_template*",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "image_processor_config.json",
    "video_preprocessor_config.json",
    "LICENSE*",
    "NOTICE*",
)
PROCESSOR_FILES = (
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "image_processor_config.json",
)
# The auxiliary files that are read as a JSON object by whoever reads them; any other *.json is only known to be JSON.
OBJECTS = (
    *PROCESSOR_FILES,
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
    "generation_config.json",
    "video_preprocessor_config.json",
)
NEVER_AUXILIARY = (*PICKLES, ".py", ".pyc", ".safetensors", ".gguf", ".onnx")
# A folder that is called like a file was meant to be one; others (tokenizer/, LICENSES/) are simply left behind.
FILE_SUFFIXES = (".json", ".txt", ".model", ".jinja")


def find_auxiliary(folder: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, among those of `folder`, of the small files that travel with every variant, in the given order.

    Each is read and each *.json parsed, because transformers passes over some broken files in silence
    (generation_config.json) and fails on others only when a processor is made. Raises CheckpointError for a folder or
    anything else in place of a file, DocumentError naming file and place for what is unreadable or not JSON, holds a
    key twice in one object, or is no object and has to be one.
    """
    wanted = [
        name
        for name in names
        if not name.endswith(NEVER_AUXILIARY) and any(fnmatchcase(name, pattern) for pattern in AUXILIARY)
    ]
    return tuple(name for name in wanted if _is_auxiliary(folder / name))


def _is_auxiliary(path: Path) -> bool:
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where the system refuses the question
        if path.suffix in FILE_SUFFIXES:
            raise CheckpointError(
                f"{path}: a folder, and a file of this name travels with every variant; move it away or give the file"
            )
        return False
    data = read_bytes(path)
    refuse_pointer(path, data)
    if path.suffix == ".json":
        node = parse_document(data, file=str(path))
        if path.name in OBJECTS:
            next(node.items(), None)  # refuses what is no object
    return True
