"""What a variant takes in memory, by its family's documents: weights in parts that variants share, keys and values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.documents.baseline import ONNX
from runtime.documents.checked_json import Node, read_document
from runtime.documents.family_files import FamilyFiles
from runtime.documents.family_layout import CONFIG, NON_BLOCK_SHARD, block_name, graph_data_path, graph_path, shard_path
from runtime.documents.graph_contract import PACKED
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.engines.prompts import context_tokens

# A session's own memory over its graph file's bytes: the file has no weights, and what is made of it grows with it.
# Each of twelve sessions on graphs of 82 kB took 4.8 MB, of 60 kB 3.5 MB.
SESSION_BYTES = 64
# Quantised types run on packed weights, which take up to so much of the stored ones. Without a prepared form two
# sessions of each variant have their own: one runs with all threads, one with a single one.
PACKED_SCALE, PACKED_COPIES = 1.2, 2
_WIDTHS = {"bfloat16": 2, "float16": 2}  # bytes of a key's or value's number; in all other types they are float32


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantSize:
    """`parts` are bytes by name: what variants have in common is held once. `load_bytes` are needed beside them while
    the variant is being loaded. `token_bytes` are keys and values of one token; `context_tokens` is the most that a
    prompt and its answer may have together, None where the config does not say."""

    parts: Mapping[str, int]
    load_bytes: int
    token_bytes: int
    context_tokens: int | None


def union_bytes(sizes: Iterable[VariantSize]) -> int:
    """The bytes of variants that are loaded together."""
    return sum({name: count for size in sizes for name, count in size.parts.items()}.values())


def variant_sizes(
    folder: Path, manifest: Manifest, *, engine: str, dtype: str, shared: bool = True
) -> dict[str, VariantSize]:
    """The sizes of all variants of the family in `folder`, by id, when that engine runs them in that type; `shared`:
    variants hold the weights that they have in common once. Raises DocumentError for a config without the sizes of
    attention."""
    files, place = {file.path: file.size for file in manifest.files}, FamilyFiles(folder).place
    configs = {one.id: read_document(place(one.folder) / CONFIG) for one in manifest.variants}
    scale = _graph_scale(manifest, files, dtype) if engine == ONNX else 1.0
    scale *= PACKED_SCALE if engine == ONNX and dtype in PACKED else 1.0
    found = {}
    for one in manifest.variants:
        parts = {name: round(scale * count) for name, count in _weights(one, files).items()}
        if not shared:
            parts = {f"{one.id} packed": PACKED_COPIES * sum(parts.values())}
        if engine == ONNX:
            parts[one.id] = SESSION_BYTES * files.get(graph_path(dtype, one.id), 0)
            parts |= _block_graphs(one, files, dtype, scale)
        found[one.id] = VariantSize(
            parts=parts,
            load_bytes=0 if engine == ONNX else one.bytes,  # torch reads it whole, then lets go of what is there
            token_bytes=_token_bytes(configs[one.id], layers=len(one.layers), width=_WIDTHS.get(dtype, 4)),
            context_tokens=context_tokens(configs[one.id]),
        )
    return found


def _block_graphs(variant: VariantRecord, files: Mapping[str, int], dtype: str, scale: float) -> dict[str, int]:
    """Bytes of the sessions of the blocks that the variant is composed of beside others, by the graph's name; each has
    a copy of the block where weights are packed."""
    found: dict[str, int] = {}
    weights = _weights(variant, files)
    for layer, block in enumerate(variant.layers):
        name = block_name(block, None if variant.top_k is None else variant.top_k[layer])
        graph = files.get(graph_path(dtype, name), 0)
        copy = round(scale * weights.get(f"block {block}", 0)) if dtype in PACKED else 0
        found |= {name: copy + SESSION_BYTES * graph} if graph else {}
    return found


def _weights(variant: VariantRecord, files: Mapping[str, int]) -> dict[str, int]:
    """Bytes of the checkpoint's tensors by block, and of those outside all blocks: a block is held once, at whatever
    layer it stands. In a copy of one variant nothing is told apart."""
    if NON_BLOCK_SHARD not in files:
        return {"weights": variant.bytes}
    sizes = {"non-block": files[NON_BLOCK_SHARD]}
    for layer, block in enumerate(variant.layers):  # one that was never exported may have a block at a layer of its own
        places = (shard_path(block, place) for place in (layer, *range(block + 1)))
        sizes[f"block {block}"] = next((files[path] for path in places if path in files), 0)
    return sizes


def _graph_scale(manifest: Manifest, files: Mapping[str, int], dtype: str) -> float:
    """The size of the graphs' weights over the checkpoint's."""
    weights = {name: count for one in manifest.variants for name, count in _weights(one, files).items()}
    return files.get(graph_data_path(dtype), 0) / max(1, sum(weights.values()))


def _token_bytes(config: Node, *, layers: int, width: int) -> int:
    heads = _first(config, "num_attention_heads", "n_heads")
    if heads is None:
        config.fail("says neither num_attention_heads nor n_heads")
    head_width = _first(config, "head_dim")
    if head_width is None:
        hidden = _first(config, "hidden_size", "d_model")
        if hidden is None:
            config.fail("says none of head_dim, hidden_size and d_model")
        head_width = hidden // heads
    return 2 * layers * (_first(config, "num_key_value_heads", "n_kv_heads") or heads) * head_width * width


def _first(config: Node, *names: str) -> int | None:
    """The first of the fields that has a value."""
    for name in names:
        node = config.get(name)
        if node is not None and node.value is not None:
            return node.integer(minimum=1)
    return None
