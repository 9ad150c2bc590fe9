"""The genai_config.json beside a text decoder, with which onnxruntime-genai loads it as it is. Pure."""

from collections.abc import Mapping
from typing import Any

from exporter.graphs.decoder_spec import DecoderSpec
from runtime.documents.graph_contract import ATTENTION_MASK, INPUT_IDS, LOGITS, PAST, PRESENT

DECODER = "model.onnx"
# What onnxruntime-genai calls a plain decoder of token ids; the type selects no mathematics there.
GENAI_TYPE = "olmo"


def genai_config(spec: DecoderSpec, config: Mapping[str, Any], *, layers: int, packed: bool) -> dict[str, Any]:
    """The document for a variant of `layers` layers, whose decoder lies beside it as DECODER; `config` is the source's
    config.json. Weights are `packed` for the kernels where that is what makes them fast (graph_contract.PACKED)."""
    context = len(spec.cos)
    return {
        "model": {
            "type": GENAI_TYPE,
            "bos_token_id": _first(config.get("bos_token_id"), 0),
            "eos_token_id": list(token_ids(config.get("eos_token_id"))) or [0],
            "pad_token_id": _first(config.get("pad_token_id"), _first(config.get("eos_token_id"), 0)),
            "context_length": context,
            "vocab_size": spec.vocabulary,
            "decoder": _decoder(spec, layers, packed),
        },
        "search": {
            "do_sample": False,
            "max_length": context,
            "min_length": 0,
            "num_beams": 1,
            "num_return_sequences": 1,
            "past_present_share_buffer": True,
            "repetition_penalty": 1.0,
            "temperature": 1.0,
            "top_k": 1,
            "top_p": 1.0,
        },
    }


def _decoder(spec: DecoderSpec, layers: int, packed: bool) -> dict[str, Any]:
    disabled = "0" if packed else "1"
    return {
        "session_options": {"log_id": "trimoe", "session.disable_prepacking": disabled, "provider_options": []},
        "filename": DECODER,
        "head_size": spec.head_dim,
        "hidden_size": spec.hidden,
        "num_attention_heads": spec.heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": spec.kv_heads,
        "inputs": {
            "input_ids": INPUT_IDS,
            "attention_mask": ATTENTION_MASK,
            "past_key_names": f"{PAST}%d.key",
            "past_value_names": f"{PAST}%d.value",
        },
        "outputs": {
            "logits": LOGITS,
            "present_key_names": f"{PRESENT}%d.key",
            "present_value_names": f"{PRESENT}%d.value",
        },
    }


def _first(value: Any, default: int) -> int:
    return next(iter(token_ids(value)), default)


def token_ids(value: Any) -> tuple[int, ...]:
    """The ids that a config's field holds: none, one or several."""
    tokens = value if isinstance(value, list) else [value]
    return tuple(token for token in tokens if isinstance(token, int))
