"""The stage of everything that stands on the weights: variant folders, and graphs where the plan asks for them."""

from dataclasses import dataclass

from exporter.export.job import ExportJob
from exporter.export.staged_weights import StagedWeights
from exporter.family.disk_space import writing
from exporter.family.staging import Staging
from exporter.family.variant_folder import FamilyFiles, write_variants
from runtime.documents.manifest import FileRecord
from runtime.documents.tensor_digests import ShardDigests


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedFamily:
    """The record of every file so far, how many are copies for want of hard links, and the graphs' data files."""

    files: tuple[FileRecord, ...]
    copied: int
    graph_data: tuple[ShardDigests, ...]


def stage_family(job: ExportJob, staging: Staging, weights: StagedWeights) -> StagedFamily:
    """Write the variant folders, and the graphs with their data files.

    Raises TargetError, SourceChangedError, CheckpointError, PlanError.
    """
    folder = staging.family
    data: tuple[ShardDigests, ...] = ()
    with writing(folder, weights.needed_bytes):
        job.progress.begin("linking", 0)
        files = FamilyFiles(folder)
        for shard in job.plan.shards:
            files.add_shard(weights.finished[shard.path])
        write_variants(files, job.plan, job.auxiliary)
        if job.graphs is not None:
            data = job.graphs.write_data(folder, weights.finished, staging.record, job.progress)
            job.reader.check()
            job.graphs.write_graphs(files, data)
    return StagedFamily(files=files.records(), copied=files.copied, graph_data=data)
