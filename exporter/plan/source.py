"""What is cut: a checkpoint with its architecture, its dimensions and its tensors by block."""

from dataclasses import dataclass

from exporter.architectures.architecture import Architecture
from exporter.architectures.dimensions import ModelDimensions, read_dimensions
from exporter.architectures.find import find_architecture
from exporter.checkpoint.block_tensors import BlockTensors, split_blocks
from exporter.checkpoint.checkpoint import Checkpoint
from runtime.documents.family_layout import CONFIG


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanSource:
    """The checkpoint as it is cut; every tensor of it is in one block of `tensors` or among the non-block ones."""

    architecture: Architecture
    checkpoint: Checkpoint
    dimensions: ModelDimensions
    tensors: BlockTensors


def read_plan_source(checkpoint: Checkpoint) -> PlanSource:
    """Find out what a checkpoint is. Raises what `find_architecture`, `read_dimensions` and `split_blocks` raise."""
    file = str(checkpoint.folder / CONFIG)
    architecture = find_architecture(checkpoint.config, file=file)
    dimensions = read_dimensions(architecture, checkpoint.config, file=file)
    tensors = split_blocks(architecture, dimensions, checkpoint.tensors.values(), place=str(checkpoint.folder))
    return PlanSource(architecture=architecture, checkpoint=checkpoint, dimensions=dimensions, tensors=tensors)
