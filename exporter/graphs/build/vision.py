"""MolmoE's vision graph, one for all variants of a family: tower, pooling of neighbouring patches, projector."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import onnx_ir as ir

from exporter.graphs.build.attention import BATCH
from exporter.graphs.build.graph_builder import MICROSOFT, GraphBuilder
from exporter.graphs.weights.stored_tensor import StoredTensor
from exporter.graphs.weights.vision_weights import BACKBONE, POSITIONS, TOWER
from runtime.documents.graph_contract import IMAGE_FEATURES, IMAGE_MASKS, IMAGES

QUICK_GELU = 1.702


def build_vision(
    config: Any, weights: Mapping[str, StoredTensor], *, data_file: str, dtype: str, metadata: Mapping[str, str]
) -> ir.Model:
    """`images` float32 [batch, crops, patches, 3·patch²], `image_masks` float32 [batch, crops, patches] →
    `image_features` [batch, crops · tokens, hidden] in `dtype`. A crop of −1 everywhere is absent. `config` is a
    TrimoeMolmoeConfig.
    """
    return _Vision(config, GraphBuilder(weights, data_file, dtype)).build(metadata)


class _Vision:
    def __init__(self, config: Any, graph: GraphBuilder) -> None:
        self.config, self.vision, self.graph = config, config.vision, graph
        self.patches = prod(self.vision.grid)

    def build(self, metadata: Mapping[str, str]) -> ir.Model:
        graph, pixels, float32 = self.graph, 3 * self.vision.image_patch_size**2, ir.DataType.FLOAT
        images = graph.input(IMAGES, float32, [BATCH, "crops", self.patches, pixels])
        masks = graph.input(IMAGE_MASKS, float32, [BATCH, "crops", self.patches])
        flat = self._reshape(images, [-1, self.patches, pixels], "images/flat")
        features = graph.one(
            "Mul",
            self._tower(graph.cast(flat, graph.dtype, name="images/cast")),
            self._present(flat),
            name="features/present",
        )
        if self.config.image_padding_embed is not None:
            features = self._mark_padding(features, self._reshape(masks, [-1, self.patches, 1], "image_masks/flat"))
        projected = self._project(self._pool(features))
        rows = graph.one("Shape", images, name="features/batch", start=0, end=1)
        shape = graph.one(
            "Concat", rows, graph.constant("by_row", [-1, self.config.d_model]), name="features/shape", axis=0
        )
        joined = graph.one("Reshape", projected, shape, name="features/by_row")
        graph.output(joined, IMAGE_FEATURES, graph.dtype, [BATCH, "image_tokens", self.config.d_model])
        return graph.model("vision", metadata)

    def _reshape(self, value: ir.Value, shape: Sequence[int], name: str) -> ir.Value:
        return self.graph.one("Reshape", value, self.graph.constant(f"{name}_shape", shape), name=name)

    def _flag(self, value: ir.Value, name: str) -> ir.Value:
        """True and false as 1 and 0."""
        return self.graph.one("Cast", value, name=name, to=int(self.graph.dtype))

    def _present(self, images: ir.Value) -> ir.Value:
        """1 for each crop that has a pixel other than −1, else 0: [crops, 1, 1]."""
        graph = self.graph
        absent = graph.one("Equal", images, graph.number("absent", -1.0), name="images/absent")
        there = graph.one(
            "Cast",
            graph.one("Not", absent, name="images/there"),
            name="images/there_as_number",
            to=int(ir.DataType.FLOAT),
        )
        present = graph.one("ReduceMax", there, graph.constant("axes_1_2", [1, 2]), name="images/present", keepdims=1)
        return graph.cast(present, graph.dtype, name="images/present_cast")

    def _norm(self, value: ir.Value, stem: str, name: str) -> ir.Value:
        graph = self.graph
        scale, bias = graph.weight(f"{stem}.weight"), graph.weight(f"{stem}.bias")
        return graph.one(
            "LayerNormalization", value, scale, bias, name=name, axis=-1, epsilon=float(self.vision.image_norm_eps)
        )

    def _tower(self, patches: ir.Value) -> ir.Value:
        """[crops, patches, pixels] to [crops, patches, layers · width], without the class token."""
        graph, vision = self.graph, self.vision
        embedded = graph.linear(patches, f"{TOWER}patch_embedding", name="tower/patch_embedding")
        crops = graph.one("Shape", patches, name="tower/crops", start=0, end=1)
        shape = graph.one(
            "Concat", crops, graph.constant("one_token", [1, vision.image_emb_dim]), name="tower/class_shape", axis=0
        )
        first = graph.one("Expand", graph.weight(f"{TOWER}class_embedding"), shape, name="tower/class")
        hidden = graph.one("Concat", first, embedded, name="tower/tokens", axis=1)
        hidden = graph.one("Add", hidden, graph.weight(POSITIONS), name="tower/positions")
        hidden = self._norm(hidden, f"{TOWER}pre_ln", "tower/pre_norm")
        wanted = [layer % vision.image_num_layers for layer in (self.config.vit_layers or [-1])]
        outputs = {}
        for layer in range(max(wanted) + 1):
            hidden = self._tower_layer(hidden, f"{TOWER}transformer.resblocks.{layer}.", f"tower/layers.{layer}")
            if layer in wanted:
                ends = (
                    graph.constant("one_1d", [1]),
                    graph.constant("to_the_end", [2**62]),
                    graph.constant("axis_1", [1]),
                )
                outputs[layer] = graph.one("Slice", hidden, *ends, name=f"tower/layers.{layer}/patches")
        parts = [outputs[layer] for layer in wanted]
        return parts[0] if len(parts) == 1 else graph.one("Concat", *parts, name="tower/features", axis=-1)

    def _tower_layer(self, hidden: ir.Value, stem: str, name: str) -> ir.Value:
        graph = self.graph
        qkv = graph.linear(
            self._norm(hidden, f"{stem}attention_norm", f"{name}/attention_norm"),
            f"{stem}attention.qkv",
            name=f"{name}/qkv",
        )
        query, key, value = graph.node("Split", [qkv], name=f"{name}/split", outputs=3, axis=-1, num_outputs=3)
        mixed = self._attend(query, key, value, f"{name}/attention")
        attended = graph.linear(mixed, f"{stem}attention.wo", name=f"{name}/attention_output")
        hidden = graph.one("Add", hidden, attended, name=f"{name}/attention_sum")
        inner = graph.linear(
            self._norm(hidden, f"{stem}ffn_norm", f"{name}/mlp_norm"), f"{stem}feed_forward.w1", name=f"{name}/mlp_in"
        )
        inner = graph.one("QuickGelu", inner, name=f"{name}/activation", domain=MICROSOFT, alpha=QUICK_GELU)
        return graph.one(
            "Add", hidden, graph.linear(inner, f"{stem}feed_forward.w2", name=f"{name}/mlp_out"), name=f"{name}/mlp_sum"
        )

    def _attend(self, query: ir.Value, key: ir.Value, value: ir.Value, name: str) -> ir.Value:
        return self.graph.one(
            "MultiHeadAttention", query, key, value, name=name, domain=MICROSOFT, num_heads=self.vision.image_num_heads
        )

    def _mark_padding(self, features: ir.Value, masks: ir.Value) -> ir.Value:
        """Add the padding embeddings to patches that are padding wholly (mask 0) or in part (mask below 1, absent
        crops' −1 included)."""
        graph, kind = self.graph, self.config.image_padding_embed
        table = graph.weight(f"{BACKBONE}pad_embed")
        if kind == "regress":
            share = graph.cast(
                graph.one("Max", masks, graph.number("nothing", 0.0), name="padding/share"),
                graph.dtype,
                name="padding/cast",
            )
            return graph.one("Add", features, graph.one("Mul", share, table, name="padding/scaled"), name="padding/sum")
        empty = graph.one("Equal", masks, graph.number("nothing", 0.0), name="padding/empty")
        wholly = self._flag(empty, "padding/wholly")
        if kind == "pad_embed":
            return graph.one(
                "Add", features, graph.one("Mul", wholly, table, name="padding/wholly_scaled"), name="padding/sum"
            )
        below = graph.one("Less", masks, graph.number("whole", 1.0), name="padding/below")
        partly = self._flag(
            graph.one("And", below, graph.one("Not", empty, name="padding/some"), name="padding/partial"),
            "padding/partly",
        )
        for row, (flag, name) in enumerate(((wholly, "wholly"), (partly, "partly"))):
            vector = graph.one("Gather", table, graph.constant(f"row_{row}", row), name=f"padding/{name}_vector")
            features = graph.one(
                "Add",
                features,
                graph.one("Mul", flag, vector, name=f"padding/{name}_scaled"),
                name=f"padding/{name}_sum",
            )
        return features

    def _pool(self, features: ir.Value) -> ir.Value:
        """[crops, patches, width] to one row for each window, [crops · tokens, width]; a grid that does not divide is
        padded with zeros."""
        graph, kind = self.graph, self.config.image_pooling_2d.replace("_", "-")
        windows = self._windows(features)
        if kind in ("none", "stack"):
            return graph.one("Flatten", windows, name="pool/stacked", axis=1)
        if kind == "attention-meanq":
            query = graph.in_float32("ReduceMean", windows, graph.constant("axis_1", [1]), name="pool/mean", keepdims=1)
        else:
            first = graph.constant("first", [0])
            query = graph.one(
                "Slice", windows, first, graph.constant("one_1d", [1]), graph.constant("axis_1", [1]), name="pool/first"
            )
        stem = f"{BACKBONE}image_pooling_2d."
        query, key, value = (
            graph.linear(part, f"{stem}{name}", name=f"pool/{name}")
            for name, part in (("wq", query), ("wk", windows), ("wv", windows))
        )
        pooled = graph.linear(self._attend(query, key, value, "pool/attention"), f"{stem}wo", name="pool/output")
        return graph.one("Flatten", pooled, name="pool/rows", axis=1)

    def _windows(self, features: ir.Value) -> ir.Value:
        """[crops, patches, width] as [crops · windows, patches of a window, width]."""
        (rows, columns), (height, width) = self.vision.grid, (self.config.image_pooling_h, self.config.image_pooling_w)
        wide = self.vision.image_emb_dim * len(self.config.vit_layers or [-1])
        grid = self._reshape(features, [-1, rows, columns, wide], "pool/grid")
        below, right = -rows % height, -columns % width
        if below or right:
            pads = self.graph.constant("pool/pads", [0, 0, 0, 0, 0, below, right, 0])
            grid = self.graph.in_float32("Pad", grid, pads, name="pool/padded", mode="constant")
        split = [-1, (rows + below) // height, height, (columns + right) // width, width, wide]
        apart = self.graph.one(
            "Transpose", self._reshape(grid, split, "pool/split"), name="pool/apart", perm=[0, 1, 3, 2, 4, 5]
        )
        return self._reshape(apart, [-1, height * width, wide], "pool/windows")

    def _project(self, pooled: ir.Value) -> ir.Value:
        graph, stem = self.graph, f"{BACKBONE}image_projector"
        if self.config.image_projector == "linear":
            return graph.linear(pooled, stem, name="projector")
        gate, up = (graph.linear(pooled, f"{stem}.{name}", name=f"projector/{name}") for name in ("w1", "w3"))
        silu = graph.one("Mul", gate, graph.one("Sigmoid", gate, name="projector/sigmoid"), name="projector/silu")
        return graph.linear(graph.one("Mul", silu, up, name="projector/activated"), f"{stem}.w2", name="projector/w2")
