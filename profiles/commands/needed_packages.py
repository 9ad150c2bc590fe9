"""A missing package said in one line, with what to install."""

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import MissingPackageError


@contextmanager
def needed_packages(command: str) -> Iterator[None]:
    """Inside, a package that cannot be imported raises MissingPackageError for the command of that name."""
    try:
        yield
    except ImportError as error:
        raise MissingPackageError.of(error, needed_by=command, extras="profiles,cpu") from error
