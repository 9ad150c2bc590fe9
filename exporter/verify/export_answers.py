"""Verify variants by what they answer: against the original that skips their removed blocks, by loading them, and
against golden files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.architectures.architecture import Architecture
from exporter.checkpoint.checkpoint import Checkpoint
from exporter.plan.plan import Plan, PlannedVariant
from exporter.reference.block_model import BlockModel, Tensors
from exporter.reference.equivalence import Outputs, RunVariant, run_variants
from exporter.reference.golden import Golden, make_golden, write_golden, write_inputs
from exporter.reference.golden_inputs import make_inputs, vocabulary
from exporter.reference.load_check import LoadTarget, check_loads
from exporter.reference.model_files import ModelFiles, source_files, variant_files
from exporter.reference.threads import threads_for, using_threads
from runtime.documents.check import Check
from runtime.documents.checked_json import as_json
from runtime.documents.family_layout import CONFIG, variant_folder
from runtime.errors import CheckpointError, VerificationError


@dataclass(frozen=True, kw_only=True, slots=True)
class LogitResult:
    """What the logit check says of one variant: its golden file, relative to the family, and the checks that passed or
    were skipped."""

    golden: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantFolder:
    """What a variant folder should hold: `layers[i]` is the source block at layer i, `top_k[i]` its experts per token
    (None: dense)."""

    id: str
    folder: Path
    layers: tuple[int, ...]
    top_k: tuple[int, ...] | None
    bytes: int

    def load_target(self, golden: Golden) -> LoadTarget:
        """The folder to be loaded, and to answer as the golden outputs say."""
        return LoadTarget(folder=self.folder, golden=golden, bytes=self.bytes, layers=self.layers)


def check_logits(
    *, checkpoint: Checkpoint, plan: Plan, folder: Path, progress: Callable[[int], None]
) -> dict[str, LogitResult]:
    """Compare every variant below `folder` with the source that skips its removed blocks, and write the golden files.

    Writes golden/inputs.safetensors and golden/<id>.safetensors under `folder`. `progress` is told bytes of weights;
    about the plan's and once the source's in all. Raises VerificationError on any difference, CheckpointError when the
    source cannot be run.
    """
    shapes = [
        VariantFolder(id=v.id, folder=folder / variant_folder(v.id), layers=v.layers, top_k=v.top_k, bytes=v.bytes)
        for v in plan.variants
    ]
    inputs = make_inputs(checkpoint.config, vocabulary=vocabulary(checkpoint))
    write_inputs(folder, inputs)
    with using_threads(threads_for(sum(record.bytes for record in checkpoint.tensors.values()))):
        outputs = compare_with_source(checkpoint, plan.architecture, shapes, inputs=inputs, progress=progress)
        golden = {shape.id: make_golden(shape.id, outputs[shape.id], inputs) for shape in shapes}
        paths = {variant: write_golden(folder, value) for variant, value in golden.items()}
        loads = check_loads(
            folder,
            [shape.load_target(golden[shape.id]) for shape in shapes],
            blocks_at=plan.architecture.tensors.layers_attribute,
        )
    return {
        shape.id: LogitResult(golden=paths[shape.id], checks=(*_passed(outputs[shape.id]), loads[shape.id]))
        for shape in shapes
    }


def check_buildable(*, plan: Plan) -> None:
    """Raise in advance what `check_logits` would raise for configs and for names and shapes of tensors; reads no
    weights and writes nothing.

    Builds the source and every variant on the meta device. Raises CheckpointError for the source, VerificationError for
    a variant, and DocumentError when the config does not give the vocabulary.
    """
    checkpoint = plan.checkpoint
    source = open_source(checkpoint, plan.architecture)
    source.check_tensors({name: record.shape for name, record in checkpoint.tensors.items()})
    make_inputs(checkpoint.config, vocabulary=vocabulary(checkpoint))
    checked: list[object] = []
    for variant in plan.variants:
        config = as_json(variant.config)
        if config not in checked:
            checked.append(config)
            _check_variant(plan, variant, source)


def _check_variant(plan: Plan, variant: PlannedVariant, source: BlockModel) -> None:
    used = set(variant.shards)
    tensors = {tensor.name: tensor.source for shard in plan.shards if shard.path in used for tensor in shard.tensors}
    model = BlockModel(
        ModelFiles(
            folder=Path(variant_folder(variant.id)),
            config=as_json(variant.config),
            architecture=plan.architecture,
            weight_map={name: plan.checkpoint.folder / record.file for name, record in tensors.items()},
            error=VerificationError,
        ),
        dtype=source.dtype,
    )
    model.check_tensors({name: record.shape for name, record in tensors.items()})


def compare_with_source(
    checkpoint: Checkpoint,
    architecture: Architecture,
    shapes: Sequence[VariantFolder],
    *,
    inputs: Tensors,
    progress: Callable[[int], None],
) -> dict[str, Outputs]:
    """Run the variants and the masked original side by side; see `run_variants` for what is compared and raised."""
    source = open_source(checkpoint, architecture)
    variants = [open_variant(architecture, shape) for shape in shapes]
    return run_variants(variants, source=source, inputs=inputs, progress=progress)


def open_source(checkpoint: Checkpoint, architecture: Architecture) -> BlockModel:
    """The source as a model whose blocks are streamed. Raises CheckpointError when it is quantised or its config is
    refused."""
    if "quantization_config" in checkpoint.config:
        place = f"{checkpoint.folder / CONFIG}: quantization_config"
        raise CheckpointError(
            f"{place}: the logits of a quantised checkpoint cannot be computed here; give --no-logits"
        )
    return BlockModel(source_files(checkpoint, architecture))


def open_variant(architecture: Architecture, shape: VariantFolder) -> RunVariant:
    """A variant to be run from its own files by its own config. Raises VerificationError."""
    model = BlockModel(variant_files(shape.folder, architecture))
    return RunVariant(id=shape.id, layers=shape.layers, top_k=shape.top_k, model=model)


def _passed(outputs: Outputs) -> tuple[Check, ...]:
    rows, length, _ = outputs.logits.shape
    kind = str(outputs.logits.dtype).removeprefix("torch.")
    what = (
        f"{rows} rows of {length} tokens in {kind}: every layer and the logits bitwise equal to the source with "
        "the same blocks skipped"
    )
    checks = [Check(name="logits", outcome="passed", detail=what)]
    routed = sum(ids is not None for ids in outputs.experts)
    if routed:
        checks.append(
            Check(name="experts", outcome="passed", detail=f"the same experts for every token at {routed} layers")
        )
    return tuple(checks)
