"""A missing package said in one line, with what to install."""

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import MissingPackageError


@contextmanager
def needed_packages(needed_by: str, *, extras: str) -> Iterator[None]:
    """Inside, a package that cannot be imported raises MissingPackageError: `needed_by` needs it, `extras` of trimoe
    bring it."""
    try:
        yield
    except ImportError as error:
        raise MissingPackageError.of(error, needed_by=needed_by, extras=extras) from error
