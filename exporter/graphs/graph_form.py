"""The ONNX side of an export: what it adds to the staged family, and how that is verified."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from exporter.family.variant_folder import FamilyFiles
from exporter.graphs.check.staged_graphs import check_graphs, same_digest
from exporter.graphs.graph_set import plan_tensors, read_source
from exporter.graphs.weights.precision import Precision
from exporter.graphs.weights.stored_tensor import data_bytes
from exporter.graphs.write_graphs import total_bytes, write_data, write_graphs
from exporter.plan.plan import Plan
from runtime.documents.check import Check
from runtime.documents.family_digest import family_digest
from runtime.documents.family_layout import graph_data_path
from runtime.documents.tensor_digests import ShardDigests
from runtime.text.progress import Progress


class GraphExport:
    """The graphs of a plan in some precisions (exporter.export_protocols.GraphForm)."""

    def __init__(self, plan: Plan, precisions: Sequence[Precision]) -> None:
        """Read what the graphs need. Raises CheckpointError, PlanError for what has no ONNX form."""
        self.precisions = tuple(precisions)
        self._plan = plan
        self._source = read_source(plan)
        self._tensors = {precision: plan_tensors(self._source, plan, precision) for precision in self.precisions}
        self._data: dict[Precision, ShardDigests] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the precisions."""
        return tuple(precision.name for precision in self.precisions)

    def needed_bytes(self, done: Mapping[str, ShardDigests]) -> int:
        """The size of the data files that are not among the finished ones."""
        return sum(
            data_bytes(tensors)
            for precision, tensors in self._tensors.items()
            if graph_data_path(precision.name) not in done
        )

    def write_data(
        self, folder: Path, done: Mapping[str, ShardDigests], record: Callable[[ShardDigests], None], progress: Progress
    ) -> None:
        """Write the data files that are not among the finished ones, or were damaged since; each is handed to `record`
        when it is durable.

        Raises CheckpointError, SourceChangedError, OSError.
        """
        for precision, tensors in self._tensors.items():
            path = graph_data_path(precision.name)
            if path not in done or not same_digest(folder / path, done[path]):
                progress.begin(f"writing onnx {precision.name}", total_bytes(tensors))
                record(write_data(self._source, self._plan, precision, folder, progress.advance))
            self._data[precision] = done[path]

    def write_graphs(self, files: FamilyFiles, small: Sequence[str]) -> None:
        """Write the graphs; `small` are the names of the files under carried/. Raises OSError."""
        carried = {name: f"carried/{name}" for name in small if name in self._plan.checkpoint.auxiliary}
        digest = family_digest(files.records(), self._plan.variants)
        for precision in self.precisions:
            files.add_shard(self._data[precision])
            write_graphs(self._source, self._plan, precision, files, carried=carried, digest=digest)

    def check(self, folder: Path, *, answers: bool, progress: Progress) -> dict[str, tuple[Check, ...]]:
        """Verify all graphs; the checks of each variant by its id. Golden files are written below golden/. Raises
        VerificationError."""
        checks: dict[str, tuple[Check, ...]] = {variant.id: () for variant in self._plan.variants}
        for precision, data in self._data.items():
            progress.begin(f"checking onnx {precision.name}", self._plan_bytes())
            results = check_graphs(
                self._source,
                self._plan,
                precision,
                data=data,
                folder=folder.absolute(),
                answers=answers,
                progress=progress.advance,
            )
            checks = {variant: (*found, *results[variant]) for variant, found in checks.items()}
        return checks

    def _plan_bytes(self) -> int:
        return sum(variant.bytes for variant in self._plan.variants)
