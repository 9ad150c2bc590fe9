"""Options that belong together, handed to a command as one value."""

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def option_group(name: str, kind: type, *options: Decorator) -> Decorator:
    """Add the options, and give the command one argument `name` in their place: the dataclass `kind` of their values.

    Each option is named as the field that takes its value.
    """
    taken = [field.name for field in fields(kind)]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(*arguments: Any, **values: Any) -> Any:
            group = kind(**{field: values.pop(field) for field in taken})
            return command(*arguments, **values, **{name: group})

        decorated: Callable[..., Any] = run
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
