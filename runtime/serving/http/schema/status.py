"""Short answers about the server itself."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from runtime.serving.http.schema.strict import Given, Taken
from runtime.serving.http.served import Files


class Status(Given):
    """How the server is."""

    status: Literal["ok", "ready"]


Name = Annotated[str, Field(min_length=1, max_length=4096)]


class SwapRequest(Taken):
    """Which family to serve from now on: a folder on the server, and the files of its estimators and its baseline.
    What is left out stays as it is, and all are read anew; without estimators ([]) no budget can be kept, without a
    baseline (null) accuracies are those of the evidence."""

    path: Name | None = None
    estimators: Annotated[list[Name], Field(max_length=16)] | None = None
    baseline: Name | None = None

    def files(self, now: Files) -> Files:
        """What is asked for, where `now` is served."""
        return Files(
            path=now.path if self.path is None else Path(self.path),
            estimators=now.estimators if self.estimators is None else tuple(map(Path, self.estimators)),
            baseline=now.baseline if "baseline" not in self.model_fields_set else _path(self.baseline),
        )


class Swapped(Given):
    """The family that is served now, by the digest of its manifest."""

    digest: str


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)
