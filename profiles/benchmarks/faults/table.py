"""Plants every fault in a small family of random weights, and says what stops it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from exporter.synth.layouts import Sizes, find_layout
from exporter.synth.write import plan_synth, write_synth
from profiles.benchmarks.faults.gates import Caught, catch, export, plan_family
from profiles.benchmarks.faults.planted import FAULTS, Fault
from runtime.text.progress import NoProgress

SIZES = Sizes(blocks=4, hidden=128, experts=16, vocabulary=256)
LOUDER = 4  # what matrices are multiplied by: random blocks else hardly change what goes through them


def fault_table(
    scratch: Path, precision: str, *, faults: tuple[Fault, ...] = FAULTS, say: Callable[[str], None]
) -> Iterator[tuple[str, Caught]]:
    """Each fault with the checks that stop it in that type, in a folder of its own below `scratch`."""
    source = scratch / "source"
    if not source.is_dir():
        write_source(source)
    plan, place = plan_family(source, precision), scratch / precision
    place.mkdir()
    export(plan, place / "family")
    quantised = precision.startswith("int")
    for fault in faults:
        if fault.quantised_only and not quantised:
            continue
        say(f"{precision}: {fault.name}")
        yield fault.name, catch(fault, plan, place / "family", lambda: _copy(place / "family", place / "damaged"))
        shutil.rmtree(place / "wrong", ignore_errors=True)


def write_source(folder: Path) -> None:
    """A checkpoint whose blocks matter."""
    write_synth(plan_synth(find_layout("bench"), SIZES), folder, progress=NoProgress())
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        louder = {name: np.float32(LOUDER) * value if value.ndim > 1 else value for name, value in tensors.items()}
        save_file(louder, path, {"format": "pt"})


def _copy(family: Path, target: Path) -> Path:
    """A copy of which no file is a link of another's, in the place of the last one."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(family, target))
