"""Run the graphs of a variant that was copied out of a family on their golden inputs."""

from pathlib import Path

import onnxruntime

from exporter.family.existing import graph_types
from exporter.graphs.weights.precision import find_precision
from runtime.documents.check import FAILED, PASSED, SKIPPED, Check
from runtime.documents.family_layout import GRAPH_INPUTS, STANDALONE, graph_golden_path, graph_path
from runtime.documents.graph_contract import CPU, PACKED
from runtime.documents.manifest import Manifest
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.self_test import LACKING, self_test
from runtime.engines.onnx.session import open_session
from runtime.errors import TrimoeError


def check_graphs(*, folder: Path, manifest: Manifest) -> tuple[Check, ...]:
    """Repeat the golden outputs of the graph in every type that the copy at `folder` has; `manifest` is the copy's."""
    return tuple(_check(folder, manifest, name) for name in graph_types(manifest))


def _check(folder: Path, manifest: Manifest, precision: str) -> Check:
    (variant,) = manifest.variants
    name = f"onnx {precision} self-test"
    golden, inputs = (graph_golden_path(precision, each) for each in (variant.id, GRAPH_INPUTS))
    if golden not in {record.path for record in manifest.files}:
        detail = "no golden outputs: it was exported with --no-logits"
        return Check(name=name, variant=variant.id, outcome=SKIPPED, detail=detail)
    if precision in LACKING[CPU]:
        detail = f"{CPU} has no {precision} kernels: whoever loads it tests it"
        return Check(name=name, variant=variant.id, outcome=SKIPPED, detail=detail)
    graph = folder / graph_path(precision, variant.id)
    try:
        fold_constants = not find_precision(precision).half
        decoder = OnnxDecoder(open_session(graph, packed=precision in PACKED, fold_constants=fold_constants))
        test = self_test(graph, folder / STANDALONE / golden, folder / STANDALONE / inputs, decoder=decoder)
    except TrimoeError as error:
        return Check(name=name, variant=variant.id, outcome=FAILED, detail=str(error))
    found = f"onnxruntime {onnxruntime.__version__}, {CPU}"
    detail = f"within {test.difference:.2g} of the largest logit, allowed {test.limit:.2g} ({found})"
    return Check(name=name, variant=variant.id, outcome=PASSED, detail=f"golden outputs repeated {detail}")
