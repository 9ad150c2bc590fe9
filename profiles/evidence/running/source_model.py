"""A source checkpoint, loaded whole to be run in parts, with what reads its prompts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from transformers.utils import logging as transformers_logging

from exporter.architectures.dimensions import ModelDimensions, read_dimensions
from exporter.architectures.find import find_architecture
from exporter.checkpoint.checkpoint import CONFIG, Checkpoint, open_checkpoint, source_digest
from exporter.reference.load_probe import use_runnable_experts
from exporter.reference.model_class import read_model_config, runnable_config
from profiles.evidence.running.staged_model import StagedModel
from runtime.engines.prompts import PromptReader
from runtime.errors import CheckpointError


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceModel:
    """A model in parts, with its dimensions and the digest of its checkpoint; `software` names what its answers may
    depend on."""

    staged: StagedModel
    prompts: PromptReader
    dimensions: ModelDimensions
    digest: str
    software: Mapping[str, str]

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return self.dimensions.blocks


def open_source_model(folder: Path, *, device: str | None = None, threads: int | None = None) -> SourceModel:
    """Load the checkpoint in `folder`, in its own type; `device` None takes CUDA where there is one, `threads` None
    leaves torch's own number. Raises CheckpointError, DocumentError."""
    if threads is not None:
        torch.set_num_threads(threads)
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint = open_checkpoint(folder)
    file = str(folder / CONFIG)
    architecture = find_architecture(checkpoint.config, file=file)
    staged = load_staged(checkpoint, device=place)
    return SourceModel(
        staged=staged,
        prompts=PromptReader(folder, config=runnable_config(checkpoint.config, architecture)),
        dimensions=read_dimensions(architecture, checkpoint.config, file=file),
        digest=source_digest(checkpoint),
        software={
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "device": place,
            "threads": str(torch.get_num_threads()),
            "dtype": str(staged.dtype).removeprefix("torch."),
        },
    )


def load_staged(checkpoint: Checkpoint, *, device: str) -> StagedModel:
    """The whole model of a checkpoint in parts. Raises CheckpointError for one that is incomplete."""
    architecture = find_architecture(checkpoint.config, file=str(checkpoint.folder / CONFIG))
    model_class, config = read_model_config(
        checkpoint.folder, checkpoint.config, architecture=architecture, error=CheckpointError
    )
    transformers_logging.disable_progress_bar()
    model, report = model_class.from_pretrained(
        checkpoint.folder, config=config, dtype="auto", local_files_only=True, output_loading_info=True
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            raise CheckpointError(
                f"{checkpoint.folder}: {kind.replace('_', ' ')}, first {sorted(map(str, report[kind]))[0]}"
            )
    use_runnable_experts(model)
    model.eval().requires_grad_(False).to(device)
    return StagedModel(model, layers_attribute=architecture.tensors.layers_attribute)
