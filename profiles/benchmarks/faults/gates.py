"""What stands between a fault and an answer: the checks of an export, of `trimoe verify`, and at load; with the digests
that tell the fault, and without them, as where a wrong file was recorded."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from msgspec.structs import replace

from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.evidence.evidence import ExplicitRemovals
from exporter.export.transaction import export_family
from exporter.graphs.graph_form import GraphExport
from exporter.plan.make_plan import make_plan
from exporter.plan.plan import Plan
from exporter.plan.request import PlanRequest
from exporter.verify import export_answers
from exporter.verify.family_digests import check_contents
from exporter.verify.family_graphs import verify_graphs
from profiles.benchmarks.faults.planted import VARIANT, Fault
from runtime.documents.check import FAILED, Check
from runtime.documents.manifest import dump_manifest, read_manifest
from runtime.documents.tensor_digests import ShardDigests
from runtime.engines.onnx.engine import OnnxEngine
from runtime.engines.settings import EngineSettings
from runtime.errors import TrimoeError
from runtime.text.progress import NoProgress, Progress

# What messages say, in the order in which they are looked for, and the check that says it.
CHECKS = (
    (r"sha256|on disk is not what was written", "digest"),
    (r"bytes, \d+ recorded", "size"),
    (r"self-test", "self-test"),
    (r"metadata", "metadata"),
    (r"planned (is|are)|is planned|ONNX's checker|its data is|plain file|No such file|cannot be read", "structure"),
    (r"block ", "block"),
    (r"goes to experts", "experts"),
    (r"logits", "logits"),
    (r"onnxruntime", "runtime"),
)
NOTHING = "–"


@dataclass(frozen=True, kw_only=True, slots=True)
class Caught:
    """The check that each gate stopped a fault with, NOTHING where it passed: by a wrong export, by `trimoe verify` and
    at load; `…_recorded`: where the manifest agrees with the fault."""

    exported: str
    verified: str
    verified_recorded: str
    loaded: str
    loaded_recorded: str


def plan_family(source: Path, precision: str) -> Plan:
    """Four blocks, all of them or three, with k 3 or 2 and graphs in one type."""
    return make_plan(
        open_checkpoint(source),
        request=PlanRequest(chosen=ExplicitRemovals(sets=((), (2,))), top_ks=(3, 2), graphs=(precision,)),
    )


def export(plan: Plan, target: Path, fault: Fault | None = None) -> None:
    """Export the family, with the fault between writing and checking; folders are not loaded by transformers."""
    graphs = GraphExport(plan) if fault is None else _Planting(plan, fault)
    with patch.object(export_answers, "check_loads", _without_loading):
        export_family(
            plan,
            target,
            logits=export_answers.check_logits,
            replace=False,
            progress=NoProgress(),
            graphs=graphs,
            buildable=None,
        )


def catch(fault: Fault, plan: Plan, family: Path, copy: Callable[[], Path]) -> Caught:
    """Which checks stop the fault in `plan`, exported as `family`; `copy` gives a copy of it to be damaged."""
    assert plan.graphs is not None
    (precision,) = plan.graphs.precisions
    damaged = copy()
    fault.plant(damaged, precision)
    found = {"verified": _stopped(lambda: _verify(damaged)), "loaded": _stopped(lambda: _load(damaged, precision))}
    _record(damaged)
    return Caught(
        exported=_stopped(lambda: export(plan, family.parent / "wrong", fault)),
        verified_recorded=_stopped(lambda: _verify(damaged)),
        loaded_recorded=_stopped(lambda: _load(damaged, precision)),
        **found,
    )


class _Planting(GraphExport):
    """Graphs that are written with a fault, which their records do not show."""

    def __init__(self, plan: Plan, fault: Fault) -> None:
        super().__init__(plan)
        assert plan.graphs is not None
        (self._precision,), self._fault = plan.graphs.precisions, fault

    def check(
        self, folder: Path, data: Sequence[ShardDigests], *, answers: bool, progress: Progress
    ) -> dict[str, tuple[Check, ...]]:
        """Plant the fault, and check what there is with records that agree with it."""
        self._fault.plant(folder, self._precision)
        return super().check(folder, [_again(folder, one) for one in data], answers=answers, progress=progress)


def _again(folder: Path, record: ShardDigests) -> ShardDigests:
    path = folder / record.path
    if not path.is_file():
        return record
    data = path.read_bytes()
    return replace(record, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _record(folder: Path) -> None:
    """Make the manifest agree with the files there are."""
    manifest, files = read_manifest(folder), []
    for record in manifest.files:
        path = folder / record.path
        if path.is_file():
            data = path.read_bytes()
            record = replace(record, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        files.append(record)
    (folder / "manifest.json").write_bytes(dump_manifest(replace(manifest, files=tuple(files))))


def _verify(folder: Path) -> None:
    manifest = read_manifest(folder)
    check_contents(folder, manifest.files, lambda _: None)
    checks = verify_graphs(
        folder=folder, manifest=manifest, variants=manifest.variants, answers=True, progress=lambda _: None
    )
    for check in checks:
        if check.outcome == FAILED:
            raise TrimoeError(check.detail)


def _load(folder: Path, precision: str) -> None:
    engine = OnnxEngine(folder, read_manifest(folder), EngineSettings(dtype=precision, threads=1, prepared=None))
    try:
        engine.load(VARIANT)
    finally:
        engine.close()


def _stopped(run: Callable[[], None]) -> str:
    try:
        run()
    except (TrimoeError, OSError) as error:
        return next((check for pattern, check in CHECKS if re.search(pattern, str(error))), str(error))
    return NOTHING


def _without_loading(_family: Path, targets: Sequence[object], **_options: object) -> Mapping[str, Check]:
    return {
        target.golden.variant: Check(name="loads", outcome="skipped", detail="not here")  # type: ignore[attr-defined]
        for target in targets
    }
