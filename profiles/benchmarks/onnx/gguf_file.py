"""Writes an OLMoE checkpoint as a GGUF file, llama.cpp's format, one tensor at a time, with the package gguf.

Names and settings are those of llama.cpp's own converter for OLMoE; there is no vocabulary, because token ids are all
that a benchmark feeds. As llama.cpp does, embeddings and head are quantised with the other matrices, norms and routers
are not.
"""

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.checkpoint.checkpoint import Checkpoint, open_checkpoint
from exporter.graphs.weights.write_data import read_tensor

KINDS = ("F32", "Q8_0", "Q4_0")
_WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_OF_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate_inp": "mlp.gate",
}
_EXPERTS = {"ffn_gate_exps": "gate_proj", "ffn_up_exps": "up_proj", "ffn_down_exps": "down_proj"}
_IN_FLOAT = ("_norm", "ffn_gate_inp")


@dataclass(frozen=True, kw_only=True, slots=True)
class GgufTensor:
    """A tensor by its name in GGUF, and those of the checkpoint that it is made of, stacked where there are several."""

    name: str
    sources: tuple[str, ...]

    @property
    def quantised(self) -> bool:
        """Whether it is a matrix of those that types are about."""
        return not any(part in self.name for part in _IN_FLOAT)


def write_gguf(checkpoint: Path, target: Path, kind: str) -> None:
    """Write the OLMoE in the folder `checkpoint` as `target`, its matrices in one of KINDS. Raises TrimoeError,
    OSError, ImportError without the package gguf."""
    gguf: Any = importlib.import_module("gguf")
    opened, config = open_checkpoint(checkpoint), json.loads((checkpoint / "config.json").read_bytes())
    writer = gguf.GGUFWriter(str(target), "olmoe")
    _settings(writer, config)
    wanted, plain = gguf.GGMLQuantizationType[kind], gguf.GGMLQuantizationType.F32
    tensors = list(gguf_tensors(config))
    for tensor in tensors:
        stored, shape = wanted if tensor.quantised else plain, _shape(opened, tensor)
        if stored == plain:
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), 4 * int(np.prod(shape)))
        else:
            packed = gguf.quant_shape_to_byte_shape(shape, stored)
            writer.add_tensor_info(tensor.name, packed, np.dtype(np.uint8), int(np.prod(packed)), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        values = _values(opened, tensor)
        writer.write_tensor_data(gguf.quantize(values, wanted if tensor.quantised else plain))
    writer.close()


def _settings(writer: Any, config: dict[str, Any]) -> None:
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(float(config["rope_theta"]))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_expert_count(config["num_experts"])
    writer.add_expert_used_count(config["num_experts_per_tok"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")


def gguf_tensors(config: dict[str, Any]) -> Iterator[GgufTensor]:
    """The tensors of a GGUF file for an OLMoE of that config, in their order."""
    for name, source in _WHOLE.items():
        yield GgufTensor(name=f"{name}.weight", sources=(f"{source}.weight",))
    for block in range(config["num_hidden_layers"]):
        place = f"model.layers.{block}."
        for name, source in _OF_BLOCK.items():
            yield GgufTensor(name=f"blk.{block}.{name}.weight", sources=(f"{place}{source}.weight",))
        for name, source in _EXPERTS.items():
            experts = (f"{place}mlp.experts.{expert}.{source}.weight" for expert in range(config["num_experts"]))
            yield GgufTensor(name=f"blk.{block}.{name}.weight", sources=tuple(experts))


def _shape(checkpoint: Checkpoint, tensor: GgufTensor) -> tuple[int, ...]:
    one = checkpoint.tensors[tensor.sources[0]].shape
    return one if len(tensor.sources) == 1 else (len(tensor.sources), *one)


def _values(checkpoint: Checkpoint, tensor: GgufTensor) -> npt.NDArray[np.float32]:
    arrays = [read_tensor(checkpoint.folder, checkpoint.tensors[source]) for source in tensor.sources]
    return arrays[0] if len(arrays) == 1 else np.stack(arrays)
