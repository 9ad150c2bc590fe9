"""Folders with the files of a variant by which requests become prompts."""

import json
from pathlib import Path
from typing import Any

from exporter.architectures.supported import MOLMOE
from tests.support.tiny_tokenizer import write_tiny_processor_files


def molmoe_folder(folder: Path, **changes: Any) -> Path:
    """The files of a variant's folder that its processor reads."""
    write_tiny_processor_files(folder)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(MOLMOE.own_type.processor_values)), "utf-8")
    config = {"model_type": "trimoe_molmoe", "auto_map": dict(MOLMOE.own_type.auto_map), **changes}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def text_folder(folder: Path, **config: Any) -> Path:
    write_tiny_processor_files(folder)
    (folder / "preprocessor_config.json").unlink()
    (folder / "config.json").write_text(json.dumps({"model_type": "olmoe", **config}), "utf-8")
    return folder
