"""Fields of a config that speak of single blocks: they follow the kept ones where a row of the architectures explains
them, and are refused by name where none does."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from exporter.architectures.architecture import Architecture
from exporter.architectures.dimensions import ModelDimensions
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
# Keys whose words say that the value speaks of layers: skip_layers, moe_layer_ids, block_sizes, full_attn_idxs, …
_OF_LAYERS = re.compile(r"(?:^|_)(?:layers?|blocks?|idxs?|indices|indexes)(?:_|$)")
_TYPES_OF_LAYERS = re.compile(r"(?:^|_)(?:layers?|blocks?)_(?:\w+_)?types?$")
# Of single numbers only those that also say where something begins, ends or recurs: layer_norm_eps does not.
_PLACES_OF_LAYERS = re.compile(
    r"(?:^|_)(?:first|last|start|end|every|interval|period|offset|freq|frequency|skip|step|stride|pattern)(?:_|$)"
)


def check_layer_fields(architecture: Architecture, config: Mapping[str, Any], *, blocks: int, file: str) -> None:
    """Raise PlanError, naming the field, for anything in the config that depends on block indices and that the
    architecture's row does not explain.

    That is, at any depth of nesting: a per-block list of the wrong length; a list as long as the model is deep; a list
    of numbers, or of kinds, under a key that speaks of layers; an object keyed by block indices; a field that gives a
    pattern over the blocks; a text that names a block, such as "model.layers.3.mlp".
    """
    rules = architecture.config
    for key in rules.layer_list_keys:
        _check_layer_list(config, key, blocks, file)
    _check_windows(architecture, config, file)
    explained = (*PLAIN_LISTS, *rules.plain_list_keys, *(SPARSE_KEYS if rules.sparse_pattern else ()))
    own = {key: value for key, value in config.items() if key not in (*rules.other_subtrees, *rules.layer_list_keys)}
    for place, key, value in _walk(own):
        fault = _fault(key, value, blocks, explained=key in explained)
        if fault:
            raise PlanError(f"{file}: {place}: {fault} (architecture {architecture.name} has no rule for it)")


def _check_layer_list(config: Mapping[str, Any], key: str, blocks: int, file: str) -> None:
    value = config.get(key)
    if value is None:
        return
    if not isinstance(value, list) or len(value) != blocks:
        raise PlanError(f"{file}: {key}: expected a list of {blocks}, one entry per block, found {describe(value)}")


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


def _walk(value: Mapping[str, Any], *, place: str = "") -> Iterator[tuple[str, str, Any]]:
    """Place, key and value of every entry at any depth but in `PLAIN_FIELDS`; elements of a list under the list's
    key."""
    for key, item in value.items():
        if key in PLAIN_FIELDS:
            continue
        here = f"{place}.{key}" if place else key
        yield here, key, item
        stack = [(here, item)]
        while stack:
            at, inner = stack.pop()
            if isinstance(inner, dict):
                yield from _walk(inner, place=at)
            elif isinstance(inner, list):
                for i, element in enumerate(inner):
                    yield f"{at}[{i}]", key, element
                    stack.append((f"{at}[{i}]", element))


def _fault(key: str, value: Any, blocks: int, *, explained: bool) -> str | None:
    """How the value depends on block indices; None where it does not, or where `explained` by a rule."""
    if not explained:
        if _is_pattern(key, value):
            return f"{describe(value)} says which blocks are special"
        if isinstance(value, list) and len(value) == blocks:
            return f"a list of {blocks}, as long as the model is deep"
        if isinstance(value, list) and _lists_layers(key, value):
            return f"{describe(value)} under a key that speaks of layers"
    if isinstance(value, dict) and value and all(_is_index(inner, blocks) for inner in value):
        return f"an object keyed by {'the ' if len(value) == blocks else ''}{len(value)} block indices"
    texts = [value] if isinstance(value, str) else list(value) if isinstance(value, dict) else []
    named = next((text for text in (*texts, key) if re.search(r"(layers|blocks)(\\?\.)[0-9]", text)), None)
    return None if named is None else f'"{named}" names a block by its index'


def _is_pattern(key: str, value: Any) -> bool:
    """Whether a field makes some blocks special: not where it is absent, null, false, empty, 0, or a step of 1."""
    if not value or (key in ("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq") and value == 1):
        return False
    number = isinstance(value, int) and not isinstance(value, bool)
    return key in LAYER_PATTERNS or (
        number and _OF_LAYERS.search(key) is not None and _PLACES_OF_LAYERS.search(key) is not None
    )


def _lists_layers(key: str, value: list[Any]) -> bool:
    """Whether a list, or lists in it, holds numbers (or truths) under a key of layers, or texts under one of their
    types."""
    leaves = value
    while any(isinstance(leaf, list) for leaf in leaves):
        leaves = [inner for leaf in leaves for inner in (leaf if isinstance(leaf, list) else [leaf])]
    if not leaves:
        return False
    if all(isinstance(leaf, int) for leaf in leaves):
        return _OF_LAYERS.search(key) is not None
    return all(isinstance(leaf, str) for leaf in leaves) and _TYPES_OF_LAYERS.search(key) is not None


def _is_index(key: Any, blocks: int) -> bool:
    return isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 9 and int(key) < blocks


def slice_layer_fields(
    architecture: Architecture, edited: dict[str, Any], dimensions: ModelDimensions, layers: tuple[int, ...]
) -> None:
    """Let the fields of `edited` that hold an entry for each block, or name blocks, follow the kept ones: `layers[i]`
    is the source block at layer i."""
    windows = architecture.config.alternating_windows and edited.get("use_sliding_window")
    if windows and edited.get("layer_types") is None:
        edited["layer_types"] = _window_types(edited, dimensions.blocks)
    for key in architecture.config.layer_list_keys:
        if edited.get(key) is not None:
            edited[key] = [edited[key][block] for block in layers]
    if architecture.config.sparse_pattern and not all(dimensions.sparse):
        edited[SPARSE_KEYS[0]] = 1
        edited[SPARSE_KEYS[1]] = [layer for layer, block in enumerate(layers) if not dimensions.sparse[block]]


def _window_types(config: Mapping[str, Any], blocks: int) -> list[str]:
    """The rule by which transformers fills a missing layer_types of qwen2_moe: every second block below
    max_window_layers has a window."""
    limit = config["max_window_layers"] if isinstance(config.get("max_window_layers"), int) else 28
    return ["sliding_attention" if block % 2 == 0 and block < limit else "full_attention" for block in range(blocks)]
