"""Load each variant folder with transformers in a fresh process, without trimoe, and compare its logits with the golden
ones."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from exporter.reference import load_probe
from exporter.reference.equivalence import largest_difference, same_bits
from exporter.reference.golden import Golden, as_stored, compare_loosely, this_machine
from runtime.documents.check import Check
from runtime.documents.checked_json import read_document
from runtime.documents.family_layout import CONFIG, GENERATION_CONFIG, GOLDEN_INPUTS
from runtime.engines.memory import available_bytes
from runtime.errors import VerificationError

NAME = "loads"
# A model needs room for its weights twice while experts are fused.
MEMORY_SHARE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadTarget:
    """A variant folder to load, the golden outputs it must give, the bytes of its weights, and the source block that
    became each of its layers."""

    folder: Path
    golden: Golden
    bytes: int
    layers: tuple[int, ...]


def check_loads(family: Path, targets: Sequence[LoadTarget], *, blocks_at: str) -> dict[str, Check]:
    """Load variants of the family at `family` one after the other, in a process of its own; returns a record by variant
    id. `blocks_at` is where their models hold their blocks, e.g. `model.layers`.

    A variant passes when AutoModelForCausalLM loads its folder with no key missing or unexpected and its logits are the
    golden ones: bit by bit on the machine the golden file names, within tolerance elsewhere. Generation must end at the
    tokens that the folder's files say. One that does not fit in half of the free memory is skipped. The folders' own
    code is run: check that it is the package's first. That the files hold the same weights of a block in each variant
    is checked elsewhere: here they are read once for all variants of a model type whose blocks are among those of a
    deeper one. Raises VerificationError.
    """
    free = available_bytes()
    fitting = [target for target in targets if MEMORY_SHARE * target.bytes <= free]
    results = {
        target.golden.variant: Check(
            name=NAME,
            outcome="skipped",
            detail=f"{target.bytes} bytes of weights, {free // MEMORY_SHARE} allowed (half of the free memory)",
        )
        for target in targets
        if target not in fitting
    }
    if not fitting:
        return results
    with tempfile.TemporaryDirectory(prefix="trimoe-loads-") as scratch:
        request = {
            "threads": torch.get_num_threads(),
            "inputs": str((family / GOLDEN_INPUTS).resolve()),
            "results": scratch,
            "blocks_at": blocks_at,
            "variants": _requests(fitting),
        }
        said = _run_probe(request, Path(scratch))
        for target in fitting:
            variant = target.golden.variant
            _check_end(target, said[variant]["eos"])
            logits = as_stored(load_file(Path(scratch) / f"{variant}.safetensors")["logits"])
            results[variant] = Check(name=NAME, outcome="passed", detail=_compare(target.golden, said[variant], logits))
    return results


def _requests(targets: Sequence[LoadTarget]) -> list[dict[str, Any]]:
    """What to load, one model type after the other, the deepest variant of each first."""
    configs = {target.folder: read_document(target.folder / CONFIG) for target in targets}
    kinds = {folder: str(config.require("model_type").value) for folder, config in configs.items()}
    held: tuple[str, frozenset[int]] = ("", frozenset())
    requests = []
    for target in sorted(targets, key=lambda target: (kinds[target.folder], -len(target.layers))):
        kind, blocks = kinds[target.folder], frozenset(target.layers)
        shares = kind == held[0] and blocks <= held[1]
        held = held if shares else (kind, blocks)
        requests.append(
            {
                "id": target.golden.variant,
                "folder": str(target.folder.resolve()),
                "remote_code": configs[target.folder].get("auto_map") is not None,
                "positions": target.golden.positions.tolist(),
                "layers": target.layers,
                "shares": shares,
            }
        )
    return requests


def _run_probe(request: Mapping[str, Any], scratch: Path) -> dict[str, Mapping[str, Any]]:
    """What the probe says of each variant. The copies of remote code that transformers makes go to `scratch` and away
    with it."""
    apart = {
        "HF_HOME": str(scratch),
        "HF_MODULES_CACHE": str(scratch / "modules"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DEACTIVATE_ASYNC_LOAD": "1",  # tensors are read when they are placed, not all of them ahead
    }
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(load_probe.__file__)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        cwd=scratch,
        env={**os.environ, **apart, "TRANSFORMERS_VERBOSITY": "error"},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        begun: Sequence[str] = [line["begin"] for line in lines if "begin" in line]
        reason = " ".join(done.stderr.strip().splitlines()[-1:]) or f"the process ended with status {done.returncode}"
        raise VerificationError(
            f"variant {begun[-1] if begun else '?'}: AutoModelForCausalLM cannot load the folder: {reason}"
        )
    return {line["end"]: line for line in lines if "end" in line}


def _check_end(target: LoadTarget, found: object) -> None:
    """Compare the ids at which the loaded model ends with those in the folder: transformers passes over a generation
    config it cannot read."""
    file = next(name for name in (GENERATION_CONFIG, CONFIG) if (target.folder / name).exists())
    node = read_document(target.folder / file).get("eos_token_id")
    if node is not None and node.value != found:
        raise VerificationError(
            f"variant {target.golden.variant}: generation ends at {found}, but {file} says eos_token_id {node.value}"
        )


def _compare(golden: Golden, said: Mapping[str, Any], logits: torch.Tensor) -> str:
    for kind, names in said["info"].items():
        if names:
            raise VerificationError(
                f"variant {golden.variant}: loading reports {kind}: {', '.join(names[:3])} ({len(names)} in all)"
            )
    name = (
        said["class"] if said["experts"] is None else f"{said['class']} with experts_implementation {said['experts']!r}"
    )
    if golden.machine != this_machine():
        return f"{name}, {compare_loosely(golden, logits, because='other machine than recorded')}"
    if not same_bits(golden.logits, logits):
        delta = largest_difference(golden.logits, logits)
        raise VerificationError(
            f"variant {golden.variant}: logits of the loaded folder differ from the golden ones, max |Δ| {delta:.3g}"
        )
    return f"{name}, logits bitwise equal to the golden ones"
