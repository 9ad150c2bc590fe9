"""Small families that both engines can run, of text and of images, and random prompts for them."""

from pathlib import Path
from typing import Any

import numpy as np

from exporter.graphs.graph_form import GraphExport
from runtime.documents.manifest import read_manifest
from runtime.engines.onnx.engine import OnnxEngine
from runtime.engines.protocol import Engine, Prompt
from runtime.engines.settings import EngineSettings
from runtime.engines.torch.engine import TorchEngine
from tests.support.families import export_verified, plan_family
from tests.support.graph_families import write_graph_source

VARIANTS = ("b4-k4", "b4-k1", "b3-k4", "b3-k1")
IMAGE_TOKENS = 8  # of each crop


def export_engine_family(case: str, folder: Path) -> Path:
    """A family of VARIANTS with graphs and golden outputs, of a case of `write_graph_source`."""
    source = write_graph_source(folder / "source", case)
    plan = plan_family(source, removals=((), (2,)), top_ks=(4, 1), graphs=("float32",))
    export_verified(plan, folder / "family", graphs=GraphExport(plan))
    return folder / "family"


def open_engine(name: str, family: Path, **options: Any) -> Engine:
    """`torch`, `onnx` of one thread, or `onnx in parts` of two."""
    manifest = read_manifest(family)
    if name == "torch":
        return TorchEngine(family, manifest, device="cpu")
    return OnnxEngine(family, manifest, EngineSettings(threads=2 if "parts" in name else 1, **options))


def random_prompt(rng: np.random.Generator, *, tokens: int, crops: int = 0, variant: str = VARIANTS[0]) -> Prompt:
    """Random tokens, with so many crops of an image somewhere among them."""
    arrays: dict[str, np.ndarray] = {"input_ids": rng.integers(2, 100, tokens)}
    if crops:
        places = np.full((crops, IMAGE_TOKENS + 1), -100)
        places[:, 1:] = 1 + np.arange(crops * IMAGE_TOKENS).reshape(crops, IMAGE_TOKENS)
        arrays["images"] = rng.standard_normal((crops, 36, 48)).astype(np.float32)
        arrays["image_masks"] = rng.choice([0.0, 0.5, 1.0], (crops, 36)).astype(np.float32)
        arrays["image_input_idx"] = places
    return Prompt(variant=variant, arrays=arrays)
