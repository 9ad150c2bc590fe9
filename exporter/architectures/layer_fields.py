"""Fields of a config that speak of single blocks: found and, where no row of the architectures explains them,
refused by name.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from exporter.architectures.architecture import Architecture
from runtime.documents.checked_json import describe
from runtime.errors import PlanError

# Lists of transformers' configs that are never per block, whatever their length.
PLAIN_LISTS = (
    "architectures",
    "eos_token_id",
    "bos_token_id",
    "pad_token_id",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
    "forced_decoder_ids",
    "short_factor",
    "long_factor",
    "mrope_section",
    "weight_block_size",
)
# Fields that are replaced, that are free text, or whose keys are classes and not blocks.
PLAIN_FIELDS = ("auto_map", "_name_or_path", "id2label", "label2id")
# Fields of other architectures that say which blocks are special; copied as they are, they would speak of the wrong
# layers.
LAYER_PATTERNS = (
    "attn_layer_indices",
    "attn_layer_offset",
    "attn_layer_period",
    "block_configs",
    "cross_attention_layers",
    "decoder_sparse_step",
    "dense_layers",
    "expert_layer_offset",
    "expert_layer_period",
    "first_k_dense_replace",
    "full_attention_interval",
    "full_attn_idxs",
    "global_attn_every_n_layers",
    "hybrid_override_pattern",
    "interleave_moe_layer_step",
    "kv_shared_layers",
    "layers_block_type",
    "mlp_only_layers",
    "moe_interleave",
    "moe_layer_end_index",
    "moe_layer_freq",
    "moe_layer_interval",
    "moe_layer_start_index",
    "moe_layers",
    "no_rope_layer_interval",
    "no_rope_layers",
    "num_dense_layers",
    "num_kv_shared_layers",
    "pruned_heads",
    "sliding_window_pattern",
)
SPARSE_KEYS = ("decoder_sparse_step", "mlp_only_layers")


def check_layer_fields(architecture: Architecture, config: Mapping[str, Any], *, blocks: int, file: str) -> None:
    """Raise PlanError, naming the field, for anything in the config that depends on block indices and that the
    architecture's row does not explain.

    That is: a per-block list of the wrong length; any other list as long as the depth; an object keyed by the block
    indices; a field that gives a pattern over the blocks; a text that names a block, such as "model.layers.3.mlp".
    """
    for key in architecture.config.layer_list_keys:
        _check_layer_list(config, key, blocks, file)
    for key in LAYER_PATTERNS:
        if not (architecture.config.sparse_pattern and key in SPARSE_KEYS) and not _is_neutral(key, config.get(key)):
            raise PlanError(
                f"{file}: {key}: {describe(config[key])} says which blocks are special; architecture "
                f"{architecture.name} has no rule for it"
            )
    _check_windows(architecture, config, file)
    for place, key, value in _walk(
        config, skip=(*architecture.config.other_subtrees, *architecture.config.layer_list_keys, *PLAIN_FIELDS)
    ):
        _check_value(architecture, place, key, value, blocks, file)


def _check_layer_list(config: Mapping[str, Any], key: str, blocks: int, file: str) -> None:
    value = config.get(key)
    if value is None:
        return
    if not isinstance(value, list) or len(value) != blocks:
        raise PlanError(f"{file}: {key}: expected a list of {blocks}, one entry per block, found {describe(value)}")


def _is_neutral(key: str, value: Any) -> bool:
    """Whether a pattern field's value makes all blocks alike: absent, null, false, empty, 0, or a step of 1."""
    return not value or (key in ("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq") and value == 1)


def _check_windows(architecture: Architecture, config: Mapping[str, Any], file: str) -> None:
    if (
        config.get("use_sliding_window")
        and config.get("max_window_layers") is not None
        and not architecture.config.alternating_windows
    ):
        raise PlanError(
            f"{file}: max_window_layers: with use_sliding_window it says which blocks are special; architecture "
            f"{architecture.name} has no rule for it"
        )


def _walk(value: Mapping[str, Any], *, skip: tuple[str, ...], place: str = "") -> Iterator[tuple[str, str, Any]]:
    """Place, key and value of every entry at any depth, without the objects and lists named in `skip`."""
    for key, item in value.items():
        if key in skip:
            continue
        here = f"{place}.{key}" if place else key
        yield here, key, item
        stack = [(here, item)]
        while stack:
            at, inner = stack.pop()
            if isinstance(inner, dict):
                yield from _walk(inner, skip=skip, place=at)
            elif isinstance(inner, list):
                for i, element in enumerate(inner):
                    yield f"{at}[{i}]", key, element
                    stack.append((f"{at}[{i}]", element))


def _check_value(architecture: Architecture, place: str, key: str, value: Any, blocks: int, file: str) -> None:
    rules = architecture.config
    explained = (*PLAIN_LISTS, *rules.plain_list_keys, *(SPARSE_KEYS if rules.sparse_pattern else ()))
    if isinstance(value, list) and len(value) == blocks and key not in explained:
        raise PlanError(
            f"{file}: {place}: a list of {blocks}, as long as the model is deep; architecture "
            f"{architecture.name} does not know what it is"
        )
    if isinstance(value, dict) and value and set(value) == {str(block) for block in range(blocks)}:
        raise PlanError(
            f"{file}: {place}: an object keyed by the {blocks} "
            f"block indices; architecture {architecture.name} does not know what it is"
        )
    texts = [value] if isinstance(value, str) else list(value) if isinstance(value, dict) else []
    for text in (*texts, key):
        if re.search(r"(layers|blocks)(\\?\.)[0-9]", text):
            raise PlanError(
                f'{file}: {place}: "{text}" names a block by its index; architecture '
                f"{architecture.name} has no rule for renumbering it"
            )
