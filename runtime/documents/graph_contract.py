"""What the graphs of a family and those who run them agree on: names of inputs, outputs and what goes on inside, and
metadata."""

from collections.abc import Mapping
from pathlib import Path

from runtime.errors import VerificationError

# Inputs and outputs, as onnxruntime-genai names them.
INPUT_IDS, INPUTS_EMBEDS, ATTENTION_MASK, LOGITS = "input_ids", "inputs_embeds", "attention_mask", "logits"
PAST, PRESENT = "past_key_values.", "present."  # followed by "<layer>.key" or "<layer>.value"
FIRST_LOGITS = "first_logits_position"  # optional, of a decoder: of the new tokens, the first whose logits are wanted
# Of a block's graph, which is one layer of a decoder: its past is past_key_values.0, its present present.0.
HIDDEN, NEXT_HIDDEN = "hidden", "next_hidden"  # the residual stream in front of and behind it, [batch, sequence, width]
LAST_POSITIONS = "seqlens_k"  # int32 [batch]: the position of each row's last real token, new ones included
TOTAL_LENGTH = "total_sequence_length"  # int32 scalar: of the longest row, padding of new tokens included
FOLLOWING_IDS = "following_ids"  # not of a graph: the tokens that are fed behind golden prompts
IMAGES, IMAGE_MASKS, IMAGE_FEATURES, IMAGE_INPUT_IDX = "images", "image_masks", "image_features", "image_input_idx"

# Types of weights whose kernels are fast only on weights that a session packs when it opens; they then round what they
# multiply to 8 bits. Without packing the same graph computes in float, several times slower.
PACKED = ("int8", "int4")

# Where graphs of each type run: a provider that is not named has not all of the kernels, or takes weights in another
# form. CPU, CUDA: what ONNX Runtime calls them.
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
PROVIDERS = {"float32": (CPU,), "float16": (CPU, CUDA), "bfloat16": (CUDA,), "int8": (CPU,), "int4": (CPU,)}

# The oldest ONNX Runtime that runs them. Before 1.28 the CUDA kernel for experts ignored the activation's parameters
# and computed another model's: wrong without an error. Before 1.31 experts of 4 bits had no `accuracy_level`.
OLDEST = {"float32": "1.28", "float16": "1.28", "bfloat16": "1.28", "int8": "1.28", "int4": "1.31"}

# Metadata.
VARIANT, PRECISION, FAMILY_DIGEST = "trimoe.variant", "trimoe.precision", "trimoe.family_digest"
LAYERS, REMOVED_BLOCKS, TOP_K = "trimoe.layers", "trimoe.removed_blocks", "trimoe.top_k"
BLOCK = "trimoe.block"
# What whoever runs them must know: rows are padded on the right, how long they may become, the ids that end an answer
# and that pad (separated by spaces, none where the source says none), and the two tables above.
PADDING_SIDE, CONTEXT_LENGTH = "trimoe.padding_side", "trimoe.context_length"
END_TOKENS, PAD_TOKEN = "trimoe.end_tokens", "trimoe.pad_token"
OLDEST_ONNXRUNTIME, RUNS_ON = "trimoe.oldest_onnxruntime", "trimoe.providers"
TRIMOE_VERSION, ARCHITECTURE, SOURCE_DIGEST = "trimoe.version", "trimoe.family", "trimoe.source_digest"


def hidden_name(layer: int) -> str:
    """The name of a layer's output in a decoder graph: the residual stream behind it, [batch, sequence, hidden]."""
    return f"layers.{layer}/output_norm:3"


def scores_name(layer: int) -> str:
    """The name of a layer's router scores in a decoder graph: [batch · sequence, experts]."""
    return f"layers.{layer}/router:0"


def check_metadata(graph: Path, found: Mapping[str, str], expected: Mapping[str, str | None], *, source: str) -> None:
    """Compare a graph's metadata with the `expected` values; one that is None, or a family digest that the graph lacks,
    is unknown and passes.

    `source` says where these come from. Raises VerificationError naming the graph file, the key, what it says and what
    is expected.
    """
    for key, wanted in expected.items():
        if wanted is None or (key == FAMILY_DIGEST and key not in found):
            continue
        if found.get(key) != wanted:
            says = "missing" if key not in found else repr(found[key])
            raise VerificationError(f"{graph}: metadata {key} is {says}, {source} says {wanted!r}")
