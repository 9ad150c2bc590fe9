"""Where everything stands in a family's folder: the only place that spells these paths, all relative to the folder."""

from collections.abc import Iterable

MANIFEST = "manifest.json"  # written last: its presence means that everything below was verified
TENSORS = "tensors.json"  # digest, place and origin of every tensor
WEIGHTS = "weights"  # safetensors shards that the variants share
AUXILIARY = "carried"  # tokenizer, processor and other small files, once
GOLDEN = "golden"  # inputs and outputs of each variant, for self-tests
VARIANTS = "variants"  # complete checkpoint folders
GRAPHS = "onnx"  # one folder a type of weights
STANDALONE = "trimoe"  # in a variant that was copied out: its own manifest, digests and golden outputs

CONFIG = "config.json"
GENERATION_CONFIG = "generation_config.json"
INDEX = "model.safetensors.index.json"

NON_BLOCK_SHARD = f"{WEIGHTS}/non-block.safetensors"
GOLDEN_INPUTS = f"{GOLDEN}/inputs.safetensors"
GRAPH_INPUTS = "inputs"  # in place of a variant's id: the prompts that the graphs' golden outputs answer
VISION, EMBEDDINGS = "vision", "embeddings"  # in place of a variant's id: the graphs that all variants share
# In place of a variant's id: what stands before and behind the graphs of blocks. Where decoders take embeddings,
# EMBEDDINGS stands before the blocks too.
TOKEN_EMBEDDINGS, HEAD = "token-embeddings", "head"


def shard_path(block: int, layer: int) -> str:
    """The weights of a source block as they stand at a layer index."""
    return f"{WEIGHTS}/block-{block:02d}-layer-{layer:02d}.safetensors"


def auxiliary_path(name: str) -> str:
    """A small file that travels with the variants, e.g. `tokenizer.json`."""
    return f"{AUXILIARY}/{name}"


def variant_folder(variant: str) -> str:
    """The checkpoint folder of a variant, by its id."""
    return f"{VARIANTS}/{variant}"


def golden_path(variant: str) -> str:
    """The golden outputs of a variant's safetensors form."""
    return f"{GOLDEN}/{variant}.safetensors"


def graph_golden_path(precision: str, name: str) -> str:
    """The golden outputs of a variant's graph, by its id, or the prompts (GRAPH_INPUTS) of the CPU provider."""
    return f"{GOLDEN}/onnx-{precision}-cpu/{name}.safetensors"


def graph_folder(precision: str) -> str:
    """The folder of the graphs in one type of weights: ONNX Runtime opens no data outside a graph's folder."""
    return f"{GRAPHS}/{precision}"


def graph_path(precision: str, name: str) -> str:
    """The decoder graph of a variant, by its id, or a shared graph (VISION, EMBEDDINGS)."""
    return f"{graph_folder(precision)}/{name}.onnx"


def block_name(block: int, k: int | None) -> str:
    """In place of a variant's id: the graph of a source block with `k` experts per token (None: it has none)."""
    return f"block-{block:02d}" if k is None else f"block-{block:02d}-k{k}"


def graph_data_name(precision: str) -> str:
    """The file of weights that all graphs of a type point into, beside them."""
    return f"weights.{precision}.bin"


def graph_data_path(precision: str) -> str:
    """The file of weights that all graphs of a type point into."""
    return f"{graph_folder(precision)}/{graph_data_name(precision)}"


def graph_files(precision: str, variant: str) -> tuple[str, ...]:
    """Everything that answers by a variant's graph depend on, and what its self-test reads."""
    return _files(precision, variant, (variant, EMBEDDINGS, VISION))


def composed_files(precision: str, variant: str, blocks: Iterable[str]) -> tuple[str, ...]:
    """The same where graphs of blocks, of these names, answer in its place."""
    return _files(precision, variant, (TOKEN_EMBEDDINGS, *blocks, HEAD, EMBEDDINGS, VISION))


def _files(precision: str, variant: str, names: Iterable[str]) -> tuple[str, ...]:
    graphs = (graph_path(precision, name) for name in names)
    golden = (graph_golden_path(precision, name) for name in (variant, GRAPH_INPUTS))
    return (*graphs, graph_data_path(precision), *golden)
