"""What stands at the head of a profile's pictures: on what, when and with what it was taken, and from which files."""

from collections.abc import Iterator, Sequence

from profiles.reports.latency.inputs import EstimatorFile, Subject
from profiles.reports.latency.series import show_load
from profiles.reports.pictures.chart import Table, head
from profiles.reports.pictures.numbers import digits
from runtime.documents.latency.estimator_document import HeldOut
from runtime.documents.latency.profile_document import Device, LatencyProfile
from runtime.latency.workload import Workload
from runtime.text.one_line import one_line
from runtime.text.sizes import show_bytes

TEXTS = ("form", "variant", "load")
LEFT_OUT = ("variant", "length", "batch", "points")


def profile_facts(subject: Subject) -> Iterator[tuple[str, str]]:
    """Names and values, the model first."""
    file, profile = subject.file, subject.file.profile
    model = profile.model
    weights = "random weights: times only, no answers" if model.synthetic else "trained weights"
    yield "model", f"{model.name} ({model.architecture}), {weights}"
    yield "family", model.digest
    yield "variants", f"{len(profile.variants)}, of which {len({one.variant for one in profile.points})} were measured"
    yield "device", _device(profile.device)
    yield "taken", f"{profile.taken}, trimoe {profile.trimoe}"
    yield "software", ", ".join(f"{name} {version}" for name, version in profile.software.items()) or "not recorded"
    yield "profile", f"{file.path.name}, {len(profile.points)} points, sha256 {file.sha256}"
    for form, estimator in subject.estimators.items():
        yield (
            f"estimator, {' '.join(form)}",
            f"{estimator.path.name}, trimoe {estimator.document.trimoe}, sha256 {estimator.sha256}",
        )
    if subject.baseline is not None:
        scores = subject.baseline
        yield "accuracy", f"{scores.path.name}, trimoe {scores.baseline.trimoe}, sha256 {scores.sha256}"
    for what, option in _missing(subject):
        yield what, f"not shown: give {option}"


def _device(device: Device) -> str:
    parts = [
        f"{device.name} ({device.kind})",
        f"{device.processors} processors",
        f"{device.threads} threads on {', '.join(map(str, device.affinity)) or 'any'}",
        f"{show_bytes(device.memory_bytes)} of memory",
        device.driver,
        f"load {device.load:.2f} at the beginning",
    ]
    if device.clocks is not None:
        low, high = f"{device.clocks.low_mhz:.0f}", f"{device.clocks.high_mhz:.0f}"
        parts.append(f"{low} MHz" if low == high else f"{low}–{high} MHz")
    return ", ".join(parts)


def _missing(subject: Subject) -> Iterator[tuple[str, str]]:
    if not subject.estimators:
        yield "predictions", "--estimator FILE"
    if subject.baseline is None:
        yield "accuracy", "--baseline FILE"
    if subject.shape is None:
        yield "roofline", "--family DIR"


def held_out_table(estimator: EstimatorFile) -> Table:
    """What an estimator says of itself: mean errors on what was left out of the fit, and how often its bounds held."""
    document = estimator.document
    rows = [(model.stage, model.bound, model.held_out) for model in document.stages]
    if document.held_out:
        rows.append(("end to end", document.bound, document.held_out))
    numbers = (*(f"error by {by}, %" for by in LEFT_OUT), "upper bound", "bound held, %")
    return Table(
        columns=(head("stage", right=False), *map(head, numbers)),
        rows=tuple((stage, *_errors(found), f"× {bound:.3f}", _held(found)) for stage, bound, found in rows),
    )


def footprint_table(profile: LatencyProfile) -> Table:
    """The memory and energy that a profile has."""
    rows = tuple(
        (
            one_line(f"{one.engine} {one.dtype}"),
            one.variant,
            show_load(Workload(batch=one.batch, vision_tokens=one.vision_tokens, text_tokens=one.text_tokens)),
            str(one.decoded_tokens),
            "–" if one.peak_memory_bytes is None else show_bytes(one.peak_memory_bytes),
            "–" if one.energy_j is None else digits(one.energy_j),
        )
        for one in profile.footprints
    )
    numbers = ("tokens decoded", "peak of memory", "energy, J")
    return Table(columns=(*(head(text, right=False) for text in TEXTS), *map(head, numbers)), rows=rows)


def _errors(found: Sequence[HeldOut]) -> tuple[str, ...]:
    errors = {one.by: f"{100 * one.mape:.1f}" for one in found}
    return tuple(errors.get(by, "–") for by in LEFT_OUT)


def _held(found: Sequence[HeldOut]) -> str:
    return f"{100 * found[0].coverage:.0f}" if found else "–"
