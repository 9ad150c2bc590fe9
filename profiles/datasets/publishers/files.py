"""Reading what a publisher ships: JSON files of any size, as checked nodes."""

import json
from collections.abc import Sequence
from pathlib import Path

from profiles.errors import DatasetError
from runtime.documents.checked_json import Node


def read_source(path: Path) -> Node:
    """The JSON file as a node. Raises DatasetError when it cannot be read or parsed; there is no limit on its size."""
    try:
        with path.open("rb") as stream:
            value = json.load(stream)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DatasetError(f"{path}: not a JSON file: {error}") from error
    return Node(value=value, file=str(path))


def first_present(folder: Path, names: Sequence[str]) -> Path:
    """The first of `names` that there is in `folder`; the first of all where there is none."""
    return next((folder / name for name in names if (folder / name).exists()), folder / names[0])


def strings(node: Node) -> tuple[str, ...]:
    """The node as a list of strings."""
    return tuple(element.string() for element in node.elements())


def identifier(node: Node) -> str:
    """The node, a string or an integer, as text."""
    return node.string() if isinstance(node.value, str) else str(node.integer())
