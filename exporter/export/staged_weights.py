"""The stage of the weights: every shard of the plan in the staging folder, equal to the source byte by byte."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.export.job import ExportJob
from exporter.family.disk_space import check_space, writing
from exporter.family.records import plan_identity
from exporter.family.staging import Staging
from exporter.family.variant_folder import can_link
from exporter.plan.plan import PlannedShard
from exporter.weights.shard_check import compare_with_source
from exporter.weights.shard_layout import data_bytes, group_by_data, shard_header
from exporter.weights.shard_writer import write_shards
from runtime.documents.family_layout import WEIGHTS
from runtime.documents.tensor_digests import ShardDigests
from runtime.errors import VerificationError


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedWeights:
    """`finished` are the records of all finished weights files by path: the plan's shards, and data files of graphs
    from an interrupted export.

    `resumed` counts those that an interrupted export left; `needed_bytes` is what this one has to write in all.
    """

    finished: Mapping[str, ShardDigests]
    resumed: int
    needed_bytes: int


def stage_weights(job: ExportJob, staging: Staging) -> StagedWeights:
    """Resume what an interrupted export of the same plan left, write what is missing, compare all of it.

    Raises TargetError, SourceChangedError, CheckpointError, VerificationError.
    """
    folder = staging.family
    with writing(folder):
        kept = staging.resume(plan_identity(job.plan, job.auxiliary))
        (folder / WEIGHTS).mkdir(exist_ok=True)
        links = can_link(folder)
    needed = _needed_bytes(job, kept, links=links)
    check_space(folder, needed)
    with writing(folder, needed):
        finished = {**kept, **_write_missing(job, staging, kept)}
        finished |= _compare(job, staging, finished)
    return StagedWeights(finished=finished, resumed=len(kept), needed_bytes=needed)


def _needed_bytes(job: ExportJob, kept: Mapping[str, ShardDigests], *, links: bool) -> int:
    sizes = {shard.path: data_bytes(shard) + len(shard_header(shard)) for shard in job.plan.shards}
    needed = sum(size for path, size in sizes.items() if path not in kept)
    needed += 0 if job.graphs is None else job.graphs.needed_bytes(kept)
    if not links:
        needed += sum(sizes[path] for variant in job.plan.variants for path in variant.shards)
    return needed


def _write_missing(job: ExportJob, staging: Staging, kept: Mapping[str, ShardDigests]) -> dict[str, ShardDigests]:
    groups = [tuple(shard for shard in group if shard.path not in kept) for group in group_by_data(job.plan.shards)]
    job.progress.begin("writing", sum(data_bytes(shard) for group in groups for shard in group))
    written: dict[str, ShardDigests] = {}
    for group in groups:
        if group:
            written |= _write(job, staging, group)
    job.reader.check()
    return written


def _write(job: ExportJob, staging: Staging, group: Sequence[PlannedShard]) -> dict[str, ShardDigests]:
    records = write_shards(group, job.reader, staging.family, job.pipeline, job.progress.advance)
    for record in records:
        staging.record(record)
    return {record.path: record for record in records}


def _compare(job: ExportJob, staging: Staging, finished: Mapping[str, ShardDigests]) -> dict[str, ShardDigests]:
    """Compare all shards with the source; returns the records of those that had to be written again."""
    job.progress.begin("comparing", job.plan.bytes)
    mended: dict[str, ShardDigests] = {}
    for group in group_by_data(job.plan.shards):
        try:
            _compare_group(job, staging, group, finished)
        except VerificationError:
            # Damage since an earlier run is mended by writing the group again; damage since this run is damage.
            job.reader.check()
            if not any(shard.path in staging.kept for shard in group):
                raise
            mended |= _write(job, staging, group)
            _compare_group(job, staging, group, mended)
    job.reader.check()
    return mended


def _compare_group(
    job: ExportJob, staging: Staging, group: Sequence[PlannedShard], finished: Mapping[str, ShardDigests]
) -> None:
    records = [finished[shard.path] for shard in group]
    compare_with_source(group, records, job.reader, staging.family, job.pipeline, job.progress.advance)
