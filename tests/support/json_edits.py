"""JSON documents with one value changed, for tests of what readers refuse."""

import json
from pathlib import Path
from typing import Any


def write_changed(text: str | bytes, place: tuple[Any, ...], value: object, path: Path) -> Path:
    """Write to `path` the JSON document `text` with `value` at `place`, a tuple of keys and indices; returns `path`."""
    document = json.loads(text)
    node = document
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    path.write_text(json.dumps(document))
    return path
