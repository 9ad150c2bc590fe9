"""Planted faults: a few of each kind in the default run, all of them among the slow tests."""

import dataclasses
from pathlib import Path

import pytest

from profiles.benchmarks.faults.gates import NOTHING, Caught
from profiles.benchmarks.faults.planted import FAULTS
from profiles.benchmarks.faults.table import fault_table

FEW = ("lowest bit of a weight", "two experts swapped", "k one more in layer 3")


def caught(folder: Path, precision: str, names: tuple[str, ...]) -> dict[str, Caught]:
    faults = tuple(fault for fault in FAULTS if fault.name in names)
    return dict(fault_table(folder, precision, faults=faults, say=lambda line: None))


@pytest.mark.parametrize("precision", ["float32", "int4"])
def test_a_fault_is_stopped_before_anything_answers(precision: str, tmp_path: Path) -> None:
    found = caught(tmp_path, precision, FEW)
    assert (found["lowest bit of a weight"].verified, found["lowest bit of a weight"].loaded) == ("digest", "digest")
    assert found["two experts swapped"].exported in ("logits", "experts", "block")
    assert found["k one more in layer 3"].exported == found["k one more in layer 3"].verified_recorded == "structure"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int4"])
def test_no_fault_passes_who_can_know_of_it(precision: str, tmp_path: Path) -> None:
    found = caught(tmp_path, precision, tuple(fault.name for fault in FAULTS))
    passed = {
        (name, gate)
        for name, stops in found.items()
        for gate, check in dataclasses.asdict(stops).items()
        if check == NOTHING and not gate.endswith("recorded")
    }
    assert passed <= {("lowest bit of a weight", "exported")}
