"""A process that opens a family and answers: started, killed and limited by `faults.py`."""

import hashlib
import logging
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from profiles.benchmarks.batching.requests import random_prompt
from runtime.documents.manifest import read_manifest
from runtime.engines.machine import features
from runtime.engines.onnx.engine import OnnxEngine
from runtime.engines.prepared.forms import PreparedForms
from runtime.engines.settings import EngineSettings

_OFF, _OWN, _UNLIMITED = "off", "", 0
_TOKENS, _ROWS = 48, 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """A family and a type of weights; where its prepared form is kept (None: there is none). The processor pretends to
    have only the feature `feature`, files may not grow beyond `file_bytes`, where either is given."""

    family: Path
    dtype: str
    place: Path | None
    feature: str = _OWN
    file_bytes: int = _UNLIMITED


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """The digest of what the largest and the smallest variant answered, and whether on a prepared form."""

    digest: str
    prepared: bool


def start(opening: Opening) -> subprocess.Popen[str]:
    """The process, which goes on beside this one."""
    code = f"import sys; from {__name__} import print_answers; print_answers(sys.argv[1:])"
    place = _OFF if opening.place is None else str(opening.place)
    arguments = [str(opening.family), opening.dtype, place, opening.feature, str(opening.file_bytes)]
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> Answered:
    """What it answered. Raises CalledProcessError when it fails; what it says about that stands on stderr."""
    said, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    digest, prepared = said.split()
    return Answered(digest=digest, prepared=prepared == str(True))


def print_answers(arguments: Sequence[str]) -> None:
    """What the process does."""
    family, dtype, place, feature, file_bytes = arguments
    logging.disable()  # it warns where there is no prepared form, and of families without golden outputs
    if int(file_bytes) != _UNLIMITED:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_bytes), int(file_bytes)))
    pretended = (feature,) if feature else features()
    prepared = None if place == _OFF else PreparedForms(folder=Path(place))
    with patch("runtime.engines.onnx.packing.source.features", lambda: pretended):
        engine = OnnxEngine(
            Path(family), read_manifest(Path(family)), EngineSettings(dtype=dtype, threads=1, prepared=prepared)
        )
    digest = _digest(engine, Path(family))
    sys.stdout.write(f"{digest} {engine.shares_weights}")


def _digest(engine: OnnxEngine, family: Path) -> str:
    """Of the logits behind random prompts, and behind a token more."""
    variants = sorted(read_manifest(family).variants, key=lambda one: (len(one.layers), one.top_k or ()))
    found = hashlib.sha256()
    for variant in (variants[-1], variants[0]):
        sequences = engine.prefill(
            [random_prompt(variant.id, _TOKENS, seed=seed) for seed in range(_ROWS)], max_new_tokens=2
        )
        found.update(sequences.logits.tobytes())
        sequences.decode([int(row.argmax()) for row in sequences.logits])
        found.update(sequences.logits.tobytes())
    return found.hexdigest()
