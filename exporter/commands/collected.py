"""Many options of a command as one frozen value."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import wraps
from typing import Any

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def collected(kind: type[Any], options: Sequence[Option]) -> Option:
    """A decorator that adds click options to a command, which gets them as one argument `options` of the dataclass
    `kind`; its fields have the options' parameter names."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def wrapped(*args: Any, **arguments: Any) -> Any:
            given = {field.name: arguments.pop(field.name) for field in fields(kind)}
            return command(*args, options=kind(**given), **arguments)

        with_options: Callable[..., Any] = wrapped
        for option in reversed(options):
            with_options = option(with_options)
        return with_options

    return decorate
