"""Which block graphs a family has in each type, and how they are built: in memory, nothing is written."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import onnx_ir as ir

from exporter.architectures.architecture import Architecture
from exporter.graphs.build.blocks import build_block, build_head, build_token_embeddings
from exporter.graphs.build.graph_builder import GraphBuilder
from exporter.graphs.decoder_spec import DecoderSpec
from runtime.documents.family_digest import Member
from runtime.documents.family_layout import HEAD, TOKEN_EMBEDDINGS, block_name
from runtime.documents.graph_contract import BLOCK, INPUT_IDS, TOP_K

BlockPair = tuple[int, int | None]


def block_pairs(variants: Sequence[Member], sparse: Callable[[int], bool]) -> tuple[BlockPair, ...]:
    """Every block that a variant keeps, with every number of experts per token that a layer of the family has: None
    where the block is not `sparse`. Block 0, which is always layer 0, has only those of layer 0."""
    first = {None if variant.top_k is None else variant.top_k[0] for variant in variants}
    every = {k for variant in variants for k in variant.top_k or (None,)}
    kept = sorted({block for variant in variants for block in variant.layers})
    return tuple(
        (block, k)
        for block in kept
        for k in (sorted(every if block else first, key=lambda k: k or 0) if sparse(block) else (None,))
    )


def build_block_graphs(
    architecture: Architecture,
    spec: Callable[[int], DecoderSpec],
    pairs: Sequence[BlockPair],
    new_graph: Callable[[], GraphBuilder],
    metadata: Mapping[str, str],
) -> Iterator[tuple[str, ir.Model]]:
    """The graphs of `pairs`, and those before and behind them, with their names in the place of a variant's id.

    `spec(block)` knows the block; `new_graph` gives empty graphs that know the weights.
    """
    whole = spec(0)
    if architecture.decoder.inputs == INPUT_IDS:
        yield TOKEN_EMBEDDINGS, build_token_embeddings(whole, new_graph(), metadata=metadata)
    for block, k in pairs:
        says = {**metadata, BLOCK: str(block), TOP_K: "" if k is None else str(k)}
        yield (
            block_name(block, k),
            build_block(architecture, spec(block), new_graph(), block=block, k=k, metadata=says),
        )
    yield HEAD, build_head(whole, new_graph(), metadata=metadata)
