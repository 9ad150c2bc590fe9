"""Edits of decoder graphs on disk, for tests of what verification and self-tests say of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

Edit = Callable[[Any], object]


def edit_graph(path: Path, edit: Edit) -> None:
    """Change the graph at `path`, its data left where it is."""
    model = onnx.load(str(path), load_external_data=False)
    edit(model)
    path.write_bytes(model.SerializeToString())


def named(model: Any, name: str) -> Any:
    """The node of that name."""
    return next(node for node in model.graph.node if node.name == name)


def initializer(model: Any, name: str) -> Any:
    """The tensor of that name."""
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def attribute(name: str, key: str, value: object) -> Edit:
    """An edit that gives a node's attribute another value."""

    def edit(model: Any) -> None:
        found = next(each for each in named(model, name).attribute if each.name == key)
        found.CopyFrom(helper.make_attribute(key, value))

    return edit


def reads(name: str, index: int, value: str) -> Edit:
    """An edit that makes a node read another value."""
    return lambda model: named(model, name).input.__setitem__(index, value)


def place(tensor: str, key: str, value: str) -> Edit:
    """An edit of where a tensor's bytes are."""

    def edit(model: Any) -> None:
        next(entry for entry in initializer(model, tensor).external_data if entry.key == key).value = value

    return edit
