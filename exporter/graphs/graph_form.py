"""The ONNX side of an export: what it adds to the staged family, and how that is verified."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from exporter.family.variant_folder import FamilyFiles
from exporter.graphs.check.staged_graphs import check_graphs, same_digest
from exporter.graphs.graph_set import plan_tensors, read_source
from exporter.graphs.weights.precision import find_precision
from exporter.graphs.weights.stored_tensor import data_bytes
from exporter.graphs.write_graphs import total_bytes, write_data, write_graphs
from exporter.plan.plan import Plan
from runtime.documents.check import Check
from runtime.documents.family_digest import family_digest
from runtime.documents.family_layout import auxiliary_path, graph_data_path
from runtime.documents.tensor_digests import ShardDigests
from runtime.text.progress import Progress


class GraphExport:
    """The graphs that a plan asks for (exporter.export.protocols.GraphForm)."""

    def __init__(self, plan: Plan) -> None:
        """Read what the graphs need. Raises CheckpointError, PlanError for a type or a model that has no ONNX form."""
        self._plan = plan
        self._source = read_source(plan)
        precisions = () if plan.graphs is None else plan.graphs.precisions
        self._tensors = {
            precision: plan_tensors(self._source, plan, precision) for precision in map(find_precision, precisions)
        }

    def needed_bytes(self, finished: Mapping[str, ShardDigests]) -> int:
        """The size of the data files that are not among the finished ones."""
        return sum(
            data_bytes(tensors)
            for precision, tensors in self._tensors.items()
            if graph_data_path(precision.name) not in finished
        )

    def write_data(
        self,
        folder: Path,
        finished: Mapping[str, ShardDigests],
        record: Callable[[ShardDigests], None],
        progress: Progress,
    ) -> tuple[ShardDigests, ...]:
        """Write the data files that are not among the finished ones, or were damaged since; each is handed to `record`
        when it is durable. Returns the records of all.

        Raises CheckpointError, SourceChangedError, OSError.
        """
        data = []
        for precision, tensors in self._tensors.items():
            path = graph_data_path(precision.name)
            if path in finished and same_digest(folder / path, finished[path]):
                data.append(finished[path])
                continue
            progress.begin(f"writing onnx {precision.name}", total_bytes(tensors))
            data.append(write_data(self._source, self._plan, precision, folder, progress.advance))
            record(data[-1])
        return tuple(data)

    def write_graphs(self, files: FamilyFiles, data: Sequence[ShardDigests]) -> None:
        """Write the graphs that stand on `data`, the records of `write_data`. Raises OSError."""
        auxiliary = {name: auxiliary_path(name) for name in self._plan.checkpoint.auxiliary}
        digest = family_digest(files.records(), self._plan.variants)
        for precision, written in zip(self._tensors, data, strict=True):
            files.add_shard(written)
            write_graphs(self._source, self._plan, precision, files, auxiliary=auxiliary, digest=digest)

    def check(
        self, folder: Path, data: Sequence[ShardDigests], *, answers: bool, progress: Progress
    ) -> dict[str, tuple[Check, ...]]:
        """Verify all graphs; the checks of each variant by its id. Golden files are written below golden/. Raises
        VerificationError."""
        checks: dict[str, tuple[Check, ...]] = {variant.id: () for variant in self._plan.variants}
        for precision, written in zip(self._tensors, data, strict=True):
            progress.begin(f"checking onnx {precision.name}", 2 * self._plan_bytes())
            results = check_graphs(
                self._source,
                self._plan,
                precision,
                data=written,
                folder=folder.absolute(),
                answers=answers,
                progress=progress.advance,
            )
            checks = {variant: (*found, *results[variant]) for variant, found in checks.items()}
        return checks

    def _plan_bytes(self) -> int:
        return sum(variant.bytes for variant in self._plan.variants)
