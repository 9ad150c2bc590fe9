"""Verify the answers of a finished family again: against its golden files, against the source where it is at hand, and
by loading it."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from exporter.architectures.find import manifest_architecture
from exporter.checkpoint.checkpoint import Checkpoint
from exporter.reference.block_model import Tensors
from exporter.reference.equivalence import Outputs, run_variants
from exporter.reference.golden import Golden, compare_golden, read_golden, read_inputs
from exporter.reference.golden_inputs import make_inputs, vocabulary
from exporter.reference.load_check import LoadTarget, check_loads
from exporter.reference.threads import threads_for, using_threads
from exporter.verify.export_answers import VariantFolder, compare_with_source, open_variant
from runtime.documents.check import FAILED, PASSED, SKIPPED, Check
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.errors import TrimoeError, VerificationError

NO_GOLDEN = "no golden outputs: exported with --no-logits"


def verify_answers(
    *,
    folder: Path,
    manifest: Manifest,
    variants: Sequence[VariantRecord],
    checkpoint: Checkpoint | None,
    run_code: bool,
    progress: Callable[[int], None],
) -> tuple[Check, ...]:
    """Run `variants` of the family at `folder` from their files, block by block, and compare their outputs; returns the
    checks made.

    Their logits, tokens and experts are compared with the golden files and, with `checkpoint`, with the source that
    skips the removed blocks. With `run_code` the folders are also loaded by AutoModelForCausalLM, their own code
    included. `progress` is told bytes of weights.
    """
    shapes = [
        VariantFolder(id=v.id, folder=folder / v.folder, layers=v.layers, top_k=v.top_k, bytes=v.bytes)
        for v in variants
    ]
    try:
        golden = {variant.id: _read(folder, variant) for variant in variants if variant.golden is not None}
        if not golden and checkpoint is None:
            return tuple(Check(name="logits", variant=v.id, outcome=SKIPPED, detail=NO_GOLDEN) for v in variants)
        inputs = _inputs(folder, golden, checkpoint)
        with using_threads(_threads(golden, shapes)):
            outputs = _run(manifest, shapes, checkpoint, inputs, progress)
            checks = _with_source(shapes, outputs) if checkpoint is not None else []
            checks += [_with_golden(shape.id, golden.get(shape.id), outputs[shape.id], inputs) for shape in shapes]
            if not run_code:
                return tuple(checks)
            blocks_at = manifest_architecture(manifest).tensors.layers_attribute
            return (*checks, *_loads(folder, _targets(shapes, golden, checks), blocks_at))
    except TrimoeError as error:
        return (Check(name="logits", outcome=FAILED, detail=str(error)),)


def _inputs(folder: Path, golden: Mapping[str, Golden], checkpoint: Checkpoint | None) -> Tensors:
    """The family's golden inputs; where it has none, those an export would make."""
    if golden or checkpoint is None:
        return read_inputs(folder)
    return make_inputs(checkpoint.config, vocabulary=vocabulary(checkpoint))


def _targets(
    shapes: Sequence[VariantFolder], golden: Mapping[str, Golden], checks: Sequence[Check]
) -> tuple[LoadTarget, ...]:
    """The variants that passed every check and have golden outputs to be compared with."""
    failed = {check.variant for check in checks if check.outcome == FAILED}
    passed = {check.variant for check in checks if check.outcome == PASSED} - failed
    return tuple(shape.load_target(golden[shape.id]) for shape in shapes if shape.id in passed and shape.id in golden)


def _read(folder: Path, variant: VariantRecord) -> Golden:
    golden = read_golden(folder / str(variant.golden))
    if golden.variant != variant.id:
        raise VerificationError(
            f"{folder / str(variant.golden)}: the golden outputs of {golden.variant}, not of {variant.id}"
        )
    return golden


def _threads(golden: Mapping[str, Golden], shapes: Sequence[VariantFolder]) -> int:
    """As many threads as the golden files name, where this machine has them: results are then equal to the last bit."""
    recorded = [value.machine.threads for value in golden.values()]
    return min(recorded[0], os.cpu_count() or 1) if recorded else threads_for(max(shape.bytes for shape in shapes))


def _run(
    manifest: Manifest,
    shapes: Sequence[VariantFolder],
    checkpoint: Checkpoint | None,
    inputs: Tensors,
    progress: Callable[[int], None],
) -> dict[str, Outputs]:
    architecture = manifest_architecture(manifest)
    if checkpoint is not None:
        return compare_with_source(checkpoint, architecture, shapes, inputs=inputs, progress=progress)
    return run_variants(
        [open_variant(architecture, shape) for shape in shapes], source=None, inputs=inputs, progress=progress
    )


def _with_source(shapes: Sequence[VariantFolder], outputs: Mapping[str, Outputs]) -> list[Check]:
    """The checks of a comparison with the source, which raises where one fails."""
    detail = "every layer and the logits bitwise equal to the source with the same blocks skipped"
    return [
        Check(name="masked source", variant=shape.id, outcome=PASSED, detail=detail)
        for shape in shapes
        if shape.id in outputs
    ]


def _with_golden(variant: str, golden: Golden | None, outputs: Outputs, inputs: Tensors) -> Check:
    if golden is None:
        return Check(name="logits", variant=variant, outcome=SKIPPED, detail=NO_GOLDEN)
    try:
        return Check(name="logits", variant=variant, outcome=PASSED, detail=compare_golden(golden, outputs, inputs))
    except VerificationError as error:
        return Check(name="logits", variant=variant, outcome=FAILED, detail=str(error))


def _loads(folder: Path, targets: Sequence[LoadTarget], blocks_at: str) -> list[Check]:
    try:
        records = check_loads(folder, targets, blocks_at=blocks_at)
    except VerificationError as error:
        return [Check(name="loads", outcome=FAILED, detail=str(error))]
    return [
        Check(name=record.name, variant=variant, outcome=record.outcome, detail=record.detail)
        for variant, record in records.items()
    ]
