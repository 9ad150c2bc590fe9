"""The errors of measuring: what a user has to download, install or change before a score can be trusted.

TrimoeError ├── DatasetError        a data set is not where or what it must be: download or mend it ├── MissingToolError
a program or package that a definition needs is not installed: install it, nothing takes its place └── MeasurementError
measurements cannot be compared or continued as asked: change the request
"""

from runtime.errors import TrimoeError


class DatasetError(TrimoeError):
    """A data set cannot be read; the text names file and place, and what to download where."""


class MissingToolError(TrimoeError):
    """Something that a definition needs is not installed; the text names it and says how to get it."""


class MeasurementError(TrimoeError):
    """Measurements do not fit each other or the request; the text names both sides."""
