"""Says how the blocks of a plan were chosen, and what a user should know of it. Pure."""

from exporter.evidence.evidence import ExplicitRemovals, Importance, Recommendations
from exporter.plan.blocks import Selection
from exporter.plan.request import PlanRequest
from exporter.plan.second_evidence import compare_evidence
from exporter.plan.source import PlanSource
from runtime.documents.manifest import ChoiceRecord, EvidenceEntry


def record_choice(
    request: PlanRequest, source: PlanSource, selection: Selection, protected: tuple[int, ...]
) -> ChoiceRecord:
    """Which evidence decided, with notes on the source, on the selection, and on what other evidence says."""
    notes, blocks = (*_source_notes(source), *selection.notes), source.dimensions.blocks
    match request.chosen:
        case Importance(file=file, sha256=digest):
            label, strategy = file, "importance"
            evidence = [EvidenceEntry(role="chosen", kind="importance", file=file, sha256=digest)]
        case Recommendations(file=file, sha256=digest, kind=kind, strategy=strategy):
            label = file
            evidence = [EvidenceEntry(role="chosen", kind=kind, file=file, sha256=digest)]
        case ExplicitRemovals():
            label, strategy, evidence = "--remove", "explicit", []
    for other in request.also:
        kind = other.kind if isinstance(other, Recommendations) else "importance"
        evidence.append(EvidenceEntry(role="compared", kind=kind, file=other.file, sha256=other.sha256))
        notes += compare_evidence(other, label=label, removals=selection.removals, blocks=blocks, protected=protected)
    return ChoiceRecord(strategy=strategy, protected=protected, evidence=tuple(evidence), notes=tuple(notes))


def _source_notes(source: PlanSource) -> tuple[str, ...]:
    architecture, checkpoint = source.architecture, source.checkpoint
    config, notes = checkpoint.config, []
    if checkpoint.unused:
        named = ", ".join(checkpoint.unused[:3]) + (", …" if len(checkpoint.unused) > 3 else "")
        notes.append(f"beside the checkpoint's weights but not part of them, and so not exported: {named}")
    if config.get("auto_map") and not architecture.own_type.always:
        notes.append(
            "the source names remote code (auto_map), which does not travel: variants are plain "
            f"{architecture.model_type}"
        )
    if config.get("quantization_config"):
        notes.append(
            "the source is quantized: its tensors are copied as they are, and parameters are counted as stored"
        )
    return tuple(notes)
