"""A missing package said in one line, with what to install."""

from collections.abc import Iterator
from contextlib import contextmanager

from profiles.errors import MissingToolError


@contextmanager
def needed_packages(command: str) -> Iterator[None]:
    """Inside, a package that cannot be imported raises MissingToolError for the command of that name."""
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        raise MissingToolError(
            f"{command} needs the package {package}, which is not installed: pip install 'trimoe[profiles,cpu]'"
        ) from error
