"""Which classes of runtime/modeling a variant's config.json asks for; code in the folder itself is never run."""

import importlib
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from runtime.errors import TrimoeError

_NAME = re.compile(r"(\w+_trimoe_\w+)\.(\w+)", re.ASCII)


def find_modeling_class(config: Mapping[str, Any], kind: str, *, file: str, error: type[TrimoeError]) -> Any:
    """The class of runtime/modeling that the config's `auto_map` names for `kind`, e.g. "AutoProcessor"; None where it
    names none. Raises `error` naming `file` for a name that is not there."""
    named = config.get("auto_map")
    name = named.get(kind) if isinstance(named, Mapping) else None
    if name is None:
        return None
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    if found is None or find_spec(f"runtime.modeling.{found[1]}") is None:
        raise error(f"{file}: auto_map.{kind}: {name!r} is no class that this trimoe has")
    chosen = getattr(importlib.import_module(f"runtime.modeling.{found[1]}"), found[2], None)
    if chosen is None:
        raise error(f"{file}: auto_map.{kind}: {name!r} is no class that this trimoe has")
    return chosen
