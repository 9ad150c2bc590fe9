"""A small family of quantised graphs, and prepared forms made up without one."""

import hashlib
from pathlib import Path

from exporter.graphs.graph_form import GraphExport
from runtime.engines.prepared.document import Origin, PreparedDocument, Weights
from tests.support.families import export_verified, plan_family
from tests.support.graph_families import write_graph_source

WHOLE, OTHER = "b3-k4", "b2-k2"
CONTENT = b"packed for a processor"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def export_quantised_family(folder: Path) -> Path:
    """A family with graphs in int8: WHOLE and OTHER are the largest variant and the smallest of four."""
    source = write_graph_source(folder / "source", "olmoe", num_hidden_layers=3)
    plan = plan_family(source, removals=((), (1,)), top_ks=(4, 2), graphs=("int8",))
    export_verified(plan, folder / "family", graphs=GraphExport(plan))
    return folder / "family"


def origin(**changes: object) -> Origin:
    """A made-up origin."""
    values = {
        "dtype": "int8",
        "family": "a" * 64,
        "data": "b" * 64,
        "graphs": "c" * 64,
        "onnxruntime": "1.31.1",
        "processor": ("x86_64", "avx2"),
    }
    return Origin(**{**values, **changes})


def built(folder: Path, of: Origin) -> PreparedDocument:
    """Fill the folder with a made-up prepared form."""
    (folder / "weights.bin").write_bytes(CONTENT)
    weights = Weights(path="weights.bin", size=len(CONTENT), packed_bytes=7, sha256=SHA256)
    return PreparedDocument(origin=of, weights=weights, tensors={}, seconds=1.5)
