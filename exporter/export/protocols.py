"""What an export calls but does not import, since it needs torch: the checks of the variants' answers and their ONNX
form."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from exporter.checkpoint.checkpoint import Checkpoint
from exporter.family.variant_folder import FamilyFiles
from exporter.plan.plan import Plan
from runtime.documents.check import Check
from runtime.documents.tensor_digests import ShardDigests
from runtime.text.progress import Progress


class BuildCheck(Protocol):
    """Builds the models of a plan without weights, before anything is copied
    (exporter.verify.export_answers.check_buildable)."""

    def __call__(self, *, plan: Plan) -> None:
        """Raises what the logit check would raise later for configs, tensor names and shapes."""


class LogitResult(Protocol):
    """What the logit check says of one variant: the golden file it wrote, relative to the family, and the checks passed
    or skipped."""

    @property
    def golden(self) -> str:
        """The path of the golden file."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks, in order."""


class LogitCheck(Protocol):
    """Compares the staged variants with the source by their logits (exporter.verify.export_answers.check_logits, which
    needs torch)."""

    def __call__(
        self, *, checkpoint: Checkpoint, plan: Plan, folder: Path, progress: Callable[[int], None]
    ) -> Mapping[str, LogitResult]:
        """A result for each variant id. Raises VerificationError on any difference."""


class GraphForm(Protocol):
    """The ONNX form of the variants, in the types that the plan asks for (exporter.graphs.graph_form.GraphExport, which
    needs torch and onnx)."""

    def needed_bytes(self, finished: Mapping[str, ShardDigests]) -> int:
        """Bytes of the data files that are not among the finished ones."""

    def write_data(
        self,
        folder: Path,
        finished: Mapping[str, ShardDigests],
        record: Callable[[ShardDigests], None],
        progress: Progress,
    ) -> tuple[ShardDigests, ...]:
        """Write the missing data files and hand each to `record`; returns the records of all, in the plan's order."""

    def write_graphs(self, files: FamilyFiles, data: Sequence[ShardDigests]) -> None:
        """Write everything else; `data` is what `write_data` gave. The shards of all variants are among `files`."""

    def check(
        self, folder: Path, data: Sequence[ShardDigests], *, answers: bool, progress: Progress
    ) -> Mapping[str, tuple[Check, ...]]:
        """The checks of each variant by id. Raises VerificationError."""
