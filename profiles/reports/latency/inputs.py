"""The files of a report, each beside the profiles that it belongs to."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from profiles.errors import MeasurementError
from profiles.reports.latency.series import ProfileFile, Series, split_series
from profiles.reports.latency.shapes import FamilyShape, read_shape
from runtime.documents.baseline import Baseline, read_baseline
from runtime.documents.checked_json import parse_document, read_bytes
from runtime.documents.family_digest import family_digest
from runtime.documents.latency.estimator_document import LatencyEstimator, read_estimator
from runtime.documents.latency.profile_document import parse_profile
from runtime.documents.manifest import read_manifest
from runtime.engines.stages import STAGES
from runtime.latency.estimator import Estimator

SHOWN_DIGEST = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimatorFile:
    """An estimator and where it was read from; `predict` is ready to predict."""

    path: Path
    sha256: str
    document: LatencyEstimator
    predict: Estimator


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineFile:
    """A baseline and where it was read from."""

    path: Path
    sha256: str
    baseline: Baseline


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One profile with what belongs to it: an estimator for some of its forms (engine, type of weights), the accuracy
    and the shapes of its family."""

    file: ProfileFile
    series: tuple[Series, ...]
    estimators: Mapping[tuple[str, str], EstimatorFile]
    baseline: BaselineFile | None
    shape: FamilyShape | None


def read_subjects(
    profiles: Sequence[Path], *, estimators: Sequence[Path], baselines: Sequence[Path], families: Sequence[Path]
) -> tuple[Subject, ...]:
    """Read all files and bring together what belongs together: estimators by device, engine, type of weights and
    experts, baselines and families by the family's digest.

    Raises DocumentError for a malformed file and a profile without points, MeasurementError for a file that belongs to
    none of the profiles, and for two that would serve the same one.
    """
    files = [_read_profile(path) for path in profiles]
    known = {file.profile.model.digest for file in files}
    scores = _baselines(baselines, known)
    shapes = _shapes(families, known)
    for file in files:
        _check_layers(file, shapes.get(file.profile.model.digest))
    fitted = _estimators(estimators, [one for file in files for one in split_series(file)])
    return tuple(
        Subject(
            file=file,
            series=split_series(file),
            estimators={one.form: fitted[key] for one in split_series(file) if (key := _subject(one)) in fitted},
            baseline=scores.get(file.profile.model.digest),
            shape=shapes.get(file.profile.model.digest),
        )
        for file in files
    )


def _read_profile(path: Path) -> ProfileFile:
    data = read_bytes(path)
    node = parse_document(data, file=str(path))
    profile = parse_profile(node)
    if not profile.points:
        node.require("points").fail("there are none")
    for place, point in zip(node.require("points").elements(), profile.points, strict=True):
        if point.stage not in STAGES:
            place.require("stage").fail(f"{point.stage!r} is no stage; this trimoe knows {', '.join(STAGES)}")
    return ProfileFile(path=path, sha256=hashlib.sha256(data).hexdigest(), profile=profile)


def _subject(series: Series) -> tuple[object, ...]:
    profile = series.file.profile
    return profile.device.name, series.engine, series.dtype, profile.model.experts


def _estimators(paths: Sequence[Path], series: Sequence[Series]) -> dict[tuple[object, ...], EstimatorFile]:
    found: dict[tuple[object, ...], EstimatorFile] = {}
    have = {_subject(one): f"{one.name} on {one.file.profile.device.name}" for one in series}
    for path in paths:
        document = read_estimator(path)
        key = (document.device, document.engine, document.dtype, document.experts)
        if key not in have:
            raise MeasurementError(
                f"{path}: fitted to {document.engine} {document.dtype} on {document.device} with "
                f"{document.experts or 'no'} experts; the profiles have {_listed(have.values())}"
            )
        if key in found:
            raise MeasurementError(f"{path}: {found[key].path} is of {have[key]} too; give one of them")
        sha256 = hashlib.sha256(read_bytes(path)).hexdigest()
        found[key] = EstimatorFile(path=path, sha256=sha256, document=document, predict=Estimator(document))
    return found


def _baselines(paths: Sequence[Path], known: set[str]) -> dict[str, BaselineFile]:
    found: dict[str, BaselineFile] = {}
    for path in paths:
        baseline = read_baseline(path)
        digest = baseline.family.digest
        _check_family(path, digest, known, taken=found[digest].path if digest in found else None)
        sha256 = hashlib.sha256(read_bytes(path)).hexdigest()
        found[digest] = BaselineFile(path=path, sha256=sha256, baseline=baseline)
    return found


def _shapes(paths: Sequence[Path], known: set[str]) -> dict[str, FamilyShape]:
    found: dict[str, tuple[Path, FamilyShape]] = {}
    for path in paths:
        manifest = read_manifest(path)
        digest = family_digest(manifest.files, manifest.variants)
        _check_family(path, digest, known, taken=found[digest][0] if digest in found else None)
        found[digest] = path, read_shape(path, manifest)
    return {digest: shape for digest, (_, shape) in found.items()}


def _check_layers(file: ProfileFile, shape: FamilyShape | None) -> None:
    """The profile's variants are those of the family whose digest it names."""
    if shape is None:
        return
    for variant in file.profile.variants:
        layers = len(shape.variants.get(variant.id, ()))
        if variant.layers != layers:
            raise MeasurementError(
                f"{file.path}: {variant.id} has {variant.layers} layers, but {layers} in the family of that digest"
            )


def _check_family(path: Path, digest: str, known: set[str], *, taken: Path | None) -> None:
    if digest not in known:
        have = _listed(one[:SHOWN_DIGEST] for one in sorted(known))
        raise MeasurementError(f"{path}: of the family {digest[:SHOWN_DIGEST]}; the profiles are of {have}")
    if taken is not None:
        raise MeasurementError(f"{path}: {taken} is of the same family; give one of them")


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))
