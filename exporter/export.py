"""Export a plan as a family: staged beside the target, compared with the source, verified, and then renamed into
place."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from exporter.checkpoint.reader import SourceReader
from exporter.export_protocols import BuildCheck, GraphForm, LogitCheck
from exporter.family.existing import (
    check_replaceable,
    damaged_file,
    graph_types,
    read_existing,
    same_plan,
    same_tensors,
)
from exporter.family.records import plan_identity, source_record, variant_record
from exporter.family.source_guard import check_small_files, check_tied_head
from exporter.family.staging import Staging, staging_path
from exporter.family.target_folder import check_space, check_target, exchange, make_parent, publish, writing
from exporter.family.variant_folder import FamilyFiles, can_link, small_files, write_variants
from exporter.plan.plan import Plan, PlannedShard
from exporter.verify.export_structure import check_structure
from exporter.weights.shard_check import compare_with_source
from exporter.weights.shard_layout import data_bytes, group_by_data, shard_header
from exporter.weights.shard_writer import Lanes, make_lanes, write_shards
from runtime.documents.atomic_file import sync_folder, write_atomically
from runtime.documents.check import Check
from runtime.documents.family_layout import MANIFEST, TENSORS
from runtime.documents.manifest import Manifest, dump_manifest
from runtime.documents.tensor_digests import ShardDigests, dump_tensor_digests
from runtime.errors import TargetError, VerificationError
from runtime.text.progress import Progress

THREADS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportResult:
    """A published family. `up_to_date`: it was there already and nothing was written; `resumed`: shards kept from an
    interrupted export."""

    folder: Path
    manifest: Manifest
    up_to_date: bool
    resumed: int
    notes: tuple[str, ...]


def export_family(
    plan: Plan,
    target: Path,
    *,
    logits: LogitCheck | None,
    replace: bool,
    progress: Progress,
    graphs: GraphForm | None = None,
    buildable: BuildCheck | None = None,
) -> ExportResult:
    """Write the family of `plan` to `target`, verified, in one visible step; an interrupted export of the same plan is
    resumed.

    A family of this very plan at `target` is left alone; another family only gives way when `replace` is set. Without
    `logits` each variant's check "logits" is recorded as skipped. `graphs` adds the variants' ONNX form. `buildable` is
    asked before anything is written. On errors the staging folder stays for the next run if it holds finished shards.

    Raises TargetError, SourceChangedError, CheckpointError, DocumentError, VerificationError.
    """
    check_target(target, plan.checkpoint.folder)
    small = small_files(plan)
    with ThreadPoolExecutor(THREADS) as pool, SourceReader(plan.checkpoint) as reader:
        reader.check()
        export = _Export(plan, target, small, replace, reader, make_lanes(pool), progress, graphs)
        try:
            present = export.find_existing(logits=logits is not None)
            if present is not None:
                return present
            check_tied_head(plan)
            if buildable is not None:
                buildable(plan=plan)
            make_parent(target)
            with Staging(target) as staging:
                return export.run(staging, logits)
        finally:
            progress.end()


class _Export:
    """One run: the values that all its steps share."""

    def __init__(
        self,
        plan: Plan,
        target: Path,
        small: Mapping[str, bytes],
        replace: bool,
        reader: SourceReader,
        lanes: Lanes,
        progress: Progress,
        graphs: GraphForm | None,
    ) -> None:
        self.plan = plan
        self.target = target
        self.small = small
        self.replace = replace
        self.reader = reader
        self.lanes = lanes
        self.progress = progress
        self.graphs = graphs
        self.groups = group_by_data(plan.shards)

    def find_existing(self, *, logits: bool) -> ExportResult | None:
        """The result when the target holds this family already; None when it has to be written. Raises TargetError
        otherwise."""
        manifest = read_existing(self.target)
        if manifest is None:
            return None
        if self.replace:
            check_replaceable(self.target, manifest)
            return None
        if not same_plan(manifest, self.plan, self.small):
            raise TargetError(
                f"{self.target}: holds a family of another plan or source; "
                "give --replace to export this one in its place"
            )
        there, asked = graph_types(manifest), () if self.graphs is None else tuple(sorted(self.graphs.names))
        if there != asked:
            found, wanted = (", ".join(names) or "none" for names in (there, asked))
            raise TargetError(
                f"{self.target}: holds this family with ONNX graphs: {found}; asked for: {wanted}; give --replace "
                "to export it so"
            )
        damage = damaged_file(self.target, manifest)
        if damage is not None:
            raise TargetError(
                f"{self.target}: holds this family, but damaged ({damage}); give --replace to export it again"
            )
        if logits and any(variant.golden is None for variant in manifest.variants):
            raise TargetError(
                f"{self.target}: holds this family, exported without logit check; give --no-logits, or --replace "
                "to check it too"
            )
        self.progress.begin("comparing source", sum(data_bytes(group[0]) for group in self.groups))
        if not same_tensors(self.target, self.plan, self.reader, self.lanes, self.progress.advance):
            raise TargetError(
                f"{self.target}: holds a family cut from other weights; give --replace to export this one in its place"
            )
        self._remove_stale_staging()
        return ExportResult(folder=self.target, manifest=manifest, up_to_date=True, resumed=0, notes=())

    def _remove_stale_staging(self) -> None:
        """Delete what an export left that was killed between publishing and cleaning up."""
        if staging_path(self.target).is_dir():
            with writing(self.target.parent), Staging(self.target) as staging:
                staging.remove()

    def run(self, staging: Staging, logits: LogitCheck | None) -> ExportResult:
        """Write, check and publish."""
        folder = staging.family
        if not self.replace and read_existing(self.target) is not None:
            raise TargetError(f"{self.target}: another export has just written it; run the command again")
        with writing(folder):
            done = staging.resume(plan_identity(self.plan, self.small))
            links = can_link(folder)
        resumed = len(done)
        needed = self._needed_bytes(done, links=links)
        check_space(folder, needed)
        with writing(folder, needed):
            self._write_missing(staging, done)
            self._compare(staging, done)
            self.progress.begin("linking", 0)
            files = FamilyFiles(folder)
            for shard in self.plan.shards:
                files.add_shard(done[shard.path])
            write_variants(files, self.plan, self.small)
            if self.graphs is not None:
                self.graphs.write_data(folder, done, lambda record: self._record(record, staging, done), self.progress)
                self.reader.check()
                self.graphs.write_graphs(files, tuple(self.small))
        check_structure(folder, self.plan)
        checks = self._check_logits(folder, logits)
        golden = tuple(
            sorted(path.relative_to(folder).as_posix() for path in (folder / "golden").rglob("*") if path.is_file())
        )
        self.progress.begin("publishing", 0)
        check_small_files(self.plan, self.small)
        with writing(folder, needed):
            files.write(TENSORS, dump_tensor_digests(tuple(done[shard.path] for shard in self.plan.shards)))
            for path in golden:
                files.add_existing(path)
            manifest = self._manifest(files, golden, checks)
            self._publish(staging, manifest)
        with writing(staging.path):
            staging.remove()
        notes = ("an interrupted export of another plan was discarded",) if staging.discarded else ()
        if files.copied:
            notes = (*notes, f"the file system has no hard links here: {files.copied} files are copies")
        return ExportResult(folder=self.target, manifest=manifest, up_to_date=False, resumed=resumed, notes=notes)

    def _needed_bytes(self, done: Mapping[str, ShardDigests], *, links: bool) -> int:
        sizes = {shard.path: data_bytes(shard) + len(shard_header(shard)) for shard in self.plan.shards}
        needed = sum(size for path, size in sizes.items() if path not in done)
        needed += 0 if self.graphs is None else self.graphs.needed_bytes(done)
        if not links:
            needed += sum(sizes[path] for variant in self.plan.variants for path in variant.shards)
        return needed

    def _write_missing(self, staging: Staging, done: dict[str, ShardDigests]) -> None:
        missing = [tuple(shard for shard in group if shard.path not in done) for group in self.groups]
        self.progress.begin("writing", sum(data_bytes(shard) for group in missing for shard in group))
        for group in missing:
            if group:
                self._write(group, staging, done)
        self.reader.check()

    def _write(self, group: Sequence[PlannedShard], staging: Staging, done: dict[str, ShardDigests]) -> None:
        for record in write_shards(group, self.reader, staging.family, self.lanes, self.progress.advance):
            self._record(record, staging, done)

    def _record(self, record: ShardDigests, staging: Staging, done: dict[str, ShardDigests]) -> None:
        staging.record(record)
        done[record.path] = record

    def _compare(self, staging: Staging, done: dict[str, ShardDigests]) -> None:
        self.progress.begin("comparing", self.plan.bytes)
        for group in self.groups:
            try:
                self._compare_group(group, staging.family, done)
            except VerificationError:
                # Damage since an earlier run is mended by writing the group again; damage since this run is damage.
                self.reader.check()
                if not any(shard.path in staging.kept for shard in group):
                    raise
                self._write(group, staging, done)
                self._compare_group(group, staging.family, done)
        self.reader.check()

    def _compare_group(self, group: Sequence[PlannedShard], folder: Path, done: Mapping[str, ShardDigests]) -> None:
        compare_with_source(
            group, [done[shard.path] for shard in group], self.reader, folder, self.lanes, self.progress.advance
        )

    def _check_logits(self, folder: Path, check: LogitCheck | None) -> dict[str, tuple[str | None, tuple[Check, ...]]]:
        """For each variant its golden file and the checks of its answers, those of its graphs included."""
        found = self._check_answers(folder, check)
        if self.graphs is None:
            return found
        graphs = self.graphs.check(folder, answers=check is not None, progress=self.progress)
        self.reader.check()
        return {variant: (golden, (*checks, *graphs[variant])) for variant, (golden, checks) in found.items()}

    def _check_answers(self, folder: Path, check: LogitCheck | None) -> dict[str, tuple[str | None, tuple[Check, ...]]]:
        if check is None:
            skipped = (Check(name="logits", outcome="skipped", detail="--no-logits was given"),)
            return {variant.id: (None, skipped) for variant in self.plan.variants}
        self.progress.begin("checking logits", self.plan.bytes + sum(data_bytes(group[0]) for group in self.groups))
        results = check(
            checkpoint=self.plan.checkpoint, plan=self.plan, folder=folder.absolute(), progress=self.progress.advance
        )
        self.reader.check()
        return {variant.id: (results[variant.id].golden, results[variant.id].checks) for variant in self.plan.variants}

    def _manifest(
        self,
        files: FamilyFiles,
        golden: Sequence[str],
        checks: Mapping[str, tuple[str | None, tuple[Check, ...]]],
    ) -> Manifest:
        tensors = {shard.path: len(shard.tensors) for shard in self.plan.shards}
        variants = []
        for variant in self.plan.variants:
            count = sum(tensors[path] for path in variant.shards)
            path, found = checks[variant.id]
            structure = f"{count} tensors in {len(variant.shards)} files, config and index as planned"
            equal = f"{count} tensors, {variant.bytes} bytes equal to the source's"
            done = (
                Check(name="structure", outcome="passed", detail=structure),
                Check(name="bytes", outcome="passed", detail=equal),
            )
            variants.append(variant_record(variant, golden=path, checks=(*done, *found)))
        return Manifest(
            trimoe=importlib.metadata.version("trimoe"),
            source=source_record(self.plan),
            choice=self.plan.choice,
            variants=tuple(variants),
            files=files.records(),
        )

    def _publish(self, staging: Staging, manifest: Manifest) -> None:
        for path in sorted(staging.family.rglob("*")):
            if path.is_dir():
                sync_folder(path)
        write_atomically(staging.family / MANIFEST, dump_manifest(manifest))
        present = read_existing(self.target)
        if present is not None and self.replace:
            check_replaceable(self.target, present)
            staging.forget()  # from here on the staged folder may be the old family
            exchange(staging.family, self.target)
        else:
            publish(staging.family, self.target)
