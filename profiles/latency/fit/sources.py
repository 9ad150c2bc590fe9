"""Files of measured times, of either kind, as observations and what they are of."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from profiles.errors import MeasurementError
from profiles.latency.fit.estimator import Subject
from profiles.latency.fit.observations import Observation
from profiles.latency.fit.profile_points import profile_observations, series
from profiles.latency.fit.study_runs import is_study_runs, read_study_runs
from runtime.documents.checked_json import read_document
from runtime.documents.latency.profile_document import parse_profile

STUDY_ENGINE, STUDY_DTYPE, STUDY_EXPERTS = "study", "bfloat16", 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The observations of one or more files of one device, engine and type of weights."""

    observations: tuple[Observation, ...]
    subject: Subject


def read_measured(paths: Sequence[Path], *, engine: str | None, dtype: str | None) -> Measured:
    """Read profiles and the study's files of runs. `engine` and `dtype` choose among what a profile holds.

    Raises DocumentError for a malformed file, MeasurementError where a profile holds several engines or types and none
    was chosen, and for files that are of different devices, engines, types or models.
    """
    found = [_read(path, engine, dtype) for path in paths]
    first = found[0].subject
    for one, path in zip(found, paths, strict=True):
        for name in ("device", "engine", "dtype", "experts"):
            if getattr(one.subject, name) != getattr(first, name):
                raise MeasurementError(
                    f"{path}: {name} {getattr(one.subject, name)}, but {paths[0]} "
                    f"has {getattr(first, name)}; fit them apart"
                )
    observations = tuple(observation for one in found for observation in one.observations)
    sources = tuple(source for one in found for source in one.subject.sources)
    return Measured(
        observations=observations,
        subject=Subject(
            device=first.device, engine=first.engine, dtype=first.dtype, experts=first.experts, sources=sources
        ),
    )


def _read(path: Path, engine: str | None, dtype: str | None) -> Measured:
    node = read_document(path)
    source = f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    if is_study_runs(node):
        observations = read_study_runs(node, experts=STUDY_EXPERTS)
        subject = Subject(
            device="the study's", engine=STUDY_ENGINE, dtype=STUDY_DTYPE, experts=STUDY_EXPERTS, sources=(source,)
        )
        return Measured(observations=observations, subject=subject)
    profile = parse_profile(node)
    chosen = [one for one in series(profile) if engine in (None, one[0]) and dtype in (None, one[1])]
    if len(chosen) != 1:
        have = ", ".join(f"{one} {kind}" for one, kind in series(profile)) or "nothing"
        raise MeasurementError(f"{path}: holds {have}; choose one with --engine and --dtype")
    subject = Subject(
        device=profile.device.name,
        engine=chosen[0][0],
        dtype=chosen[0][1],
        experts=profile.model.experts,
        sources=(source,),
    )
    return Measured(
        observations=profile_observations(profile, engine=subject.engine, dtype=subject.dtype), subject=subject
    )
