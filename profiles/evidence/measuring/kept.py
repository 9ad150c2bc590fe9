"""What has been measured of a split so far: a journal with a line for each batch and what cuts made of it.

A file of JSON lines in trimoe's own format: MeasurementSettings, then a Measured a line.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from profiles.errors import MeasurementError
from profiles.evidence.running.cut import WHOLE, Cut
from profiles.journal import Journal, JournalKind
from runtime.documents.schema import Natural, Sha256

JOURNAL = "measurement.jsonl"


class MeasurementSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the evidence of one split may depend on."""

    model: Sha256
    dataset: str
    split: str
    samples: Natural
    digest: Sha256
    metric: str
    cleanup: str
    prompt: str
    max_new_tokens: Natural
    batch_size: Natural
    software: Mapping[str, str]


class CutRows(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one cut made of a batch: the tokens of each answer, or of each text the log-likelihood and the number of
    tokens that are predicted."""

    removed: tuple[Natural, ...]
    top_k: tuple[tuple[Natural, Natural], ...]
    rows: tuple[tuple[float, ...], ...]

    @property
    def cut(self) -> Cut:
        """The cut."""
        return Cut(removed=self.removed, top_k=self.top_k)


class Measured(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What several cuts made of a batch."""

    batch: Natural
    cuts: tuple[CutRows, ...]


MEASUREMENTS = JournalKind(work="measurement", holds="measurements", row=Measured)
Rows = tuple[tuple[float, ...], ...]


class Kept:
    """The rows that are known of each batch and cut, in memory and in the journal of a split's `folder`.

    Entering raises MeasurementError where the folder has evidence made with other settings.
    """

    def __init__(self, folder: Path, settings: MeasurementSettings) -> None:
        """Nothing is opened yet."""
        self.settings = settings
        self._folder = folder
        self._journal: Journal[Measured] | None = None
        self._known: dict[tuple[int, Cut], Rows] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / JOURNAL
        present = sorted(found.name for found in self._folder.glob("*.json"))
        if present and not path.is_file():
            raise MeasurementError(
                f"{self._folder}: holds {present[0]}, and nothing that says how it was measured; give another --out"
            )
        self._journal = Journal(path, self.settings, MEASUREMENTS).__enter__()
        self._known = {(row.batch, one.cut): one.rows for row in self._journal.rows for one in row.cuts}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._journal is not None:
            self._journal.__exit__(kind, error, trace)

    def find(self, batch: int, cut: Cut) -> Rows | None:
        """What the cut made of the batch, where it is known."""
        return self._known.get((batch, cut))

    def add(self, batch: int, found: Mapping[Cut, Rows]) -> None:
        """Keep what cuts made of a batch; it is on disk when this returns."""
        assert self._journal is not None  # entered
        cuts = tuple(CutRows(removed=cut.removed, top_k=cut.top_k, rows=rows) for cut, rows in found.items())
        self._journal.add(Measured(batch=batch, cuts=cuts))
        self._known |= {(batch, cut): rows for cut, rows in found.items()}

    def forget(self) -> None:
        """Keep what the whole model made of each batch, and drop the rest from disk; what is known stays known until
        the end."""
        assert self._journal is not None  # entered
        whole = {batch: rows for (batch, cut), rows in self._known.items() if cut == WHOLE}
        self._journal.clear()
        for batch, rows in whole.items():
            self.add(batch, {WHOLE: rows})
