"""Graphs of a variant of tiny random models, for each family, and what to compare them with."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from exporter.family.variant_folder import FamilyFiles
from exporter.graphs.check.staged_graphs import check_graphs
from exporter.graphs.graph_set import GraphSource, plan_tensors, read_source
from exporter.graphs.weights.precision import find_precision
from exporter.graphs.weights.write_data import write_weights
from exporter.graphs.write_graphs import write_data, write_graphs
from exporter.plan.plan import Plan, PlannedVariant
from runtime.documents.check import Check
from runtime.documents.family_layout import GRAPH_INPUTS, graph_data_path, graph_golden_path, graph_path
from runtime.documents.tensor_digests import ShardDigests
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.self_test import SelfTest, self_test
from runtime.engines.onnx.session import open_session
from tests.support.families import copy_family, plan_family
from tests.support.tiny_molmoe import write_tiny_molmoe
from tests.support.tiny_transformers import masked_original, random_model, whole_model

OPTIONS = {"removed", "top_k", "precision"}
BASE: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1e4,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
QWEN2 = {"mlp_only_layers": [1], "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "olmoe": ("olmoe", {"intermediate_size": 32, "num_experts": 8, "num_experts_per_tok": 4}),
    "olmoe clipped": (
        "olmoe",
        {"intermediate_size": 32, "num_experts": 8, "num_experts_per_tok": 4, "clip_qkv": 0.5, "norm_topk_prob": True},
    ),
    "mixtral": (
        "mixtral",
        {"intermediate_size": 32, "num_local_experts": 8, "num_experts_per_tok": 4, "sliding_window": 5},
    ),
    "qwen2_moe": (
        "qwen2_moe",
        {
            "intermediate_size": 48,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 40,
            "num_experts": 8,
            "num_experts_per_tok": 4,
            **QWEN2,
        },
    ),
    "qwen3_moe": (
        "qwen3_moe",
        {
            "head_dim": 32,
            "intermediate_size": 48,
            "moe_intermediate_size": 32,
            "num_experts": 8,
            "num_experts_per_tok": 4,
            "norm_topk_prob": True,
            "tie_word_embeddings": True,
        },
    ),
    "llama": (
        "llama",
        {"intermediate_size": 48, "attention_bias": True, "mlp_bias": True, "rope_parameters": LLAMA3},
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A family of graphs written below `folder`."""

    folder: Path
    plan: Plan
    source: GraphSource
    precision: str

    def path(self, name: str) -> Path:
        return self.folder / graph_path(self.precision, name)

    def decoder(self, variant: PlannedVariant) -> OnnxDecoder:
        return OnnxDecoder(quiet_session(self.path(variant.id)))


CopyGraphs = Callable[..., Exported]


def quiet_session(path: Path) -> Any:
    """A session that leaves the other core alone."""
    return open_session(path, threads=1, spinning=False)


def write_graph_model(folder: Path, case: str, *, seed: int = 0, **overrides: Any) -> PreTrainedModel:
    """A random model of a case, written to `folder` as transformers writes it; its norms are not all ones."""
    family, fields = CASES[case]
    model = random_model(family, BASE | fields | overrides, seed=seed).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data.normal_(0.0 if name.endswith("bias") else 1.0, 0.1)
        else:
            parameter.data.mul_(4.0)
    model.save_pretrained(folder)
    return model


def write_graph_source(folder: Path, case: str, **overrides: Any) -> Path:
    """A source of which graphs can be made: one of CASES, or "molmoe", which takes images; four blocks unless told
    otherwise."""
    if case == "molmoe":
        write_tiny_molmoe(folder, **{"n_layers": 4, "d_model": 64, **overrides})
    else:
        write_graph_model(folder, case, **overrides)
    return folder


def quantisable(case: str) -> dict[str, Any]:
    """What to override so that every width of the case has a group size of int8 and int4."""
    return {"shared_expert_intermediate_size": 48} if case == "qwen2_moe" else {}


def export_graphs(
    source: Path,
    folder: Path,
    *,
    removed: tuple[int, ...] = (2,),
    top_k: int | tuple[int, ...] | None = 2,
    precision: str = "float32",
) -> Exported:
    """The graphs of one variant of the checkpoint at `source`, written below `folder`; `top_k` may be one for each
    source block."""
    several = isinstance(top_k, tuple)
    plan = plan_family(
        source,
        removals=(removed,),
        top_ks=None if several or top_k is None else (top_k,),
        top_k_list=top_k if several else None,
    )
    found, kind = read_source(plan), find_precision(precision)
    folder.mkdir()
    files = FamilyFiles(folder)
    files.add_shard(write_data(found, plan, kind, folder, lambda _: None))
    write_graphs(found, plan, kind, files, auxiliary={})
    return Exported(folder=folder, plan=plan, source=found, precision=precision)


def check_exported(exported: Exported, *, answers: bool = True) -> tuple[Check, ...]:
    """The checks of the one variant's graphs; writes its golden outputs."""
    precision = find_precision(exported.precision)
    path = exported.folder / graph_data_path(precision.name)
    record = ShardDigests(
        path=graph_data_path(precision.name), size=path.stat().st_size, sha256=_written_digest(exported), tensors=()
    )
    results = check_graphs(
        exported.source,
        exported.plan,
        precision,
        data=record,
        folder=exported.folder,
        answers=answers,
        progress=lambda _: None,
    )
    return results[exported.plan.variants[0].id]


def _written_digest(exported: Exported) -> str:
    """The digest of what should have been written: the data file once more, elsewhere."""
    precision = find_precision(exported.precision)
    tensors = plan_tensors(exported.source, exported.plan, precision)
    return write_weights(
        exported.source.checkpoint.folder, tensors, exported.folder.parent, "again.bin", lambda _: None
    ).sha256


def run_self_test(exported: Exported, golden_of: Exported) -> SelfTest:
    """The self-test of the one variant's graph against the golden outputs of another folder, or of its own."""
    name, precision = exported.plan.variants[0].id, golden_of.precision
    golden, inputs = (golden_of.folder / graph_golden_path(precision, each) for each in (name, GRAPH_INPUTS))
    return self_test(exported.path(name), golden, inputs, threads=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphFamilies:
    """Graphs of tiny models, each exported once into a folder of its own; they are only to be read."""

    folder: Path
    sources: dict[str, Path] = field(default_factory=dict)
    known: dict[str, Exported] = field(default_factory=dict)

    def exported(self, case: str, **options: Any) -> Exported:
        """Graphs of a case of `write_graph_source`: `options` of `export_graphs`, others override the model's
        config."""
        key = f"{case} {sorted(options.items())}"
        if key not in self.known:
            source = self._source(case, {name: value for name, value in options.items() if name not in OPTIONS})
            chosen = {name: options[name] for name in OPTIONS & options.keys()}
            if case == "llama":
                chosen["top_k"] = None
            self.known[key] = export_graphs(source, self._new_folder() / "family", **chosen)
        return self.known[key]

    def checked(self, case: str, **options: Any) -> Exported:
        """The same with golden outputs, as verification writes them."""
        key = f"checked {case} {sorted(options.items())}"
        if key not in self.known:
            found = copy_exported(self.exported(case, **options), self._new_folder() / "family")
            check_exported(found)
            self.known[key] = found
        return self.known[key]

    def _source(self, case: str, overrides: dict[str, Any]) -> Path:
        key = f"{case} {sorted(overrides.items())}"
        if key not in self.sources:
            self.sources[key] = write_graph_source(self._new_folder() / "source", case, **overrides)
        return self.sources[key]

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


def copy_exported(exported: Exported, folder: Path) -> Exported:
    """A copy to be changed."""
    return replace(exported, folder=copy_family(exported.folder, folder))


@torch.no_grad()
def reference_logits(model: PreTrainedModel, row: list[int]) -> np.ndarray:
    """The logits [length, vocabulary] of one unpadded row, without a cache."""
    return model(torch.tensor([row]), use_cache=False).logits[0].numpy()


def masked_molmoe(exported: Exported) -> PreTrainedModel:
    """The whole MolmoE of the source as the one variant, in memory."""
    variant = exported.plan.variants[0]
    model = whole_model("molmoe", exported.source.checkpoint.folder)
    return masked_original(model, variant.layers, variant.top_k, path="model.transformer.blocks")
