"""MolmoE's forward pass once more, in plain torch and without the project's code: one unpadded row, no cache, experts
in a loop.

Written from the checkpoint layout and the published semantics only, so that the tests compare two independent readings
of both. It reads the tensors as they lie on disk and computes in any float dtype.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor


class MolmoeReference:
    """A checkpoint folder in the hub's layout (or ours, which has the same tensors), held in one dtype."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float64) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        self.tensors: dict[str, Tensor] = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as handle:
                self.tensors |= {name: handle.get_tensor(name).to(dtype) for name in handle.keys()}  # noqa: SIM118 - not a dict

    def logits(
        self,
        ids: Tensor,
        images: Tensor | None = None,
        image_masks: Tensor | None = None,
        image_input_idx: Tensor | None = None,
        *,
        top_k: list[int] | None = None,
        skip: tuple[int, ...] = (),
    ) -> Tensor:
        """Logits [length, embedding_size] of one row of ids [length]; image arrays without a batch dimension; blocks in
        `skip` left out."""
        config, tensors = self.config, self.tensors
        table = torch.cat([tensors["model.transformer.wte.embedding"], tensors["model.transformer.wte.new_embedding"]])
        hidden = table[ids].clone()
        if images is not None:
            features = self.image_features(images, image_masks)
            for crop, token in (image_input_idx >= 0).nonzero().tolist():
                hidden[image_input_idx[crop, token]] += features[crop, token]
        if top_k is None:
            top_k = config.get("top_k_per_layer") or [config["moe_top_k"]] * config["n_layers"]
        for block in range(config["n_layers"]):
            if block not in skip:
                hidden = self._block(hidden, f"model.transformer.blocks.{block}", top_k[block])
        hidden = self._rms(hidden, "model.transformer.ln_f.weight")
        head = tensors["model.transformer.wte.embedding"] if config["weight_tying"] else tensors["lm_head.weight"]
        return hidden @ head.T

    def greedy(self, ids: Tensor, new_tokens: int, **inputs: Any) -> list[int]:
        """Continue a row token by token, the whole row computed anew each time."""
        row = ids
        for _ in range(new_tokens):
            row = torch.cat([row, self.logits(row, **inputs)[-1].argmax()[None]])
        return row[len(ids) :].tolist()

    def _rms(self, hidden: Tensor, name: str) -> Tensor:
        return (
            hidden / (hidden.pow(2).mean(-1, keepdim=True) + self.config["layer_norm_eps"]).sqrt() * self.tensors[name]
        )

    def _linear(self, hidden: Tensor, name: str) -> Tensor:
        output = hidden @ self.tensors[f"{name}.weight"].T
        return output + self.tensors[f"{name}.bias"] if f"{name}.bias" in self.tensors else output

    def _block(self, hidden: Tensor, name: str, top_k: int) -> Tensor:
        hidden = hidden + self._attention(self._rms(hidden, f"{name}.attn.attn_norm.weight"), f"{name}.attn")
        return hidden + self._experts(self._rms(hidden, f"{name}.mlp.ff_norm.weight"), f"{name}.mlp", top_k)

    def _attention(self, hidden: Tensor, name: str) -> Tensor:
        config = self.config
        head = config["head_dim"] or config["d_model"] // config["n_heads"]
        groups = config["n_heads"] // (config["n_kv_heads"] or config["n_heads"])
        fused = self._linear(hidden, f"{name}.att_proj")
        if config["clip_qkv"] is not None:
            fused = fused.clamp(-config["clip_qkv"], config["clip_qkv"])
        width, key_width = config["n_heads"] * head, config["n_heads"] // groups * head
        query, key = (
            self._rms(fused[:, :width], f"{name}.q_norm.weight"),
            self._rms(fused[:, width : width + key_width], f"{name}.k_norm.weight"),
        )
        value = fused[:, width + key_width :]
        length = len(hidden)
        causal = torch.ones(length, length).tril().bool()
        mixed = []
        for index in range(config["n_heads"]):
            part = slice(index * head, (index + 1) * head)
            shared = slice(index // groups * head, (index // groups + 1) * head)
            scores = self._rotate(query[:, part]) @ self._rotate(key[:, shared]).T / math.sqrt(head)
            mixed.append(scores.masked_fill(~causal, -math.inf).softmax(-1) @ value[:, shared])
        return self._linear(torch.cat(mixed, dim=-1), f"{name}.attn_out")

    def _rotate(self, states: Tensor) -> Tensor:
        length, width = states.shape
        frequencies = 1.0 / self.config["rope_theta"] ** (torch.arange(0, width, 2).double() / width)
        angles = torch.arange(length).double()[:, None] * frequencies
        cos, sin = angles.cos().to(states.dtype), angles.sin().to(states.dtype)
        left, right = states[:, : width // 2], states[:, width // 2 :]
        return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)

    def _experts(self, hidden: Tensor, name: str, top_k: int) -> Tensor:
        shares = self._linear(hidden, f"{name}.gate").softmax(-1)
        output = torch.zeros_like(hidden)
        for token, row in enumerate(hidden):
            for expert in shares[token].topk(top_k).indices.tolist():
                gate, up = (self._linear(row, f"{name}.experts.{expert}.{part}_proj") for part in ("gate", "up"))
                output[token] += shares[token, expert] * self._linear(
                    torch.nn.functional.silu(gate) * up, f"{name}.experts.{expert}.down_proj"
                )
        return output

    def image_features(self, images: Tensor, image_masks: Tensor | None) -> Tensor:
        """Features [crops, tokens, d_model] of crops [crops, patches, pixels]."""
        config, root = self.config, "model.vision_backbone"
        dtype = self.tensors[f"{root}.image_vit.class_embedding"].dtype
        features = torch.stack([self._tower(crop.to(dtype)) * (not bool((crop == -1).all())) for crop in images])
        kind = config["image_padding_embed"]
        for crop, patch in (
            torch.cartesian_prod(torch.arange(features.shape[0]), torch.arange(features.shape[1])).tolist()
            if kind
            else ()
        ):
            share, pad = float(image_masks[crop, patch]), self.tensors[f"{root}.pad_embed"]
            if kind == "regress":
                features[crop, patch] += pad * max(share, 0.0)
            elif share == 0:
                features[crop, patch] += pad if kind == "pad_embed" else pad[0]
            elif share < 1 and kind == "pad_and_partial_pad":
                features[crop, patch] += pad[1]
        pooled = torch.stack([self._pool(crop) for crop in features])
        if config["image_projector"] == "linear":
            return self._linear(pooled, f"{root}.image_projector")
        gate, value = (
            self._linear(pooled, f"{root}.image_projector.w1"),
            self._linear(pooled, f"{root}.image_projector.w3"),
        )
        return self._linear(torch.nn.functional.silu(gate) * value, f"{root}.image_projector.w2")

    def _tower(self, patches: Tensor) -> Tensor:
        """One crop [patches, pixels] through the vision transformer; returns [patches, layers · width]."""
        vision, root = self.config["vision_backbone"], "model.vision_backbone.image_vit"
        positions = self.tensors[f"{root}.positional_embedding"]
        rows, columns = (edge // vision["image_patch_size"] for edge in vision["image_default_input_size"])
        side = math.isqrt(vision["image_num_pos"] - 1)
        grid = positions[1:]
        if (rows, columns) != (side, side):
            square = grid.reshape(side, side, -1).permute(2, 0, 1)[None]
            grid = (
                torch.nn.functional.interpolate(square, (rows, columns), mode="bicubic", antialias=True)[0]
                .permute(1, 2, 0)
                .flatten(0, 1)
            )
        hidden = torch.cat(
            [self.tensors[f"{root}.class_embedding"][None], self._linear(patches, f"{root}.patch_embedding")]
        )
        hidden = self._layer_norm(hidden + torch.cat([positions[:1], grid]), f"{root}.pre_ln")
        outputs = []
        for index in range(vision["image_num_layers"]):
            block = f"{root}.transformer.resblocks.{index}"
            normed = self._layer_norm(hidden, f"{block}.attention_norm")
            hidden = hidden + self._vision_attention(normed, normed, f"{block}.attention")
            inner = self._linear(self._layer_norm(hidden, f"{block}.ffn_norm"), f"{block}.feed_forward.w1")
            hidden = hidden + self._linear(inner * torch.sigmoid(1.702 * inner), f"{block}.feed_forward.w2")
            outputs.append(hidden[1:])
        return torch.cat([outputs[index] for index in self.config["vit_layers"] or [-1]], dim=-1)

    def _layer_norm(self, hidden: Tensor, name: str) -> Tensor:
        eps = self.config["vision_backbone"]["image_norm_eps"]
        centred = hidden - hidden.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt()
        return scaled * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def _vision_attention(self, queries: Tensor, keys: Tensor, name: str) -> Tensor:
        vision = self.config["vision_backbone"]
        head, groups = vision["image_head_dim"], vision["image_num_heads"] // vision["image_num_key_value_heads"]
        query, key, value = (
            self._linear(queries, f"{name}.wq"),
            self._linear(keys, f"{name}.wk"),
            self._linear(keys, f"{name}.wv"),
        )
        mixed = []
        for index in range(vision["image_num_heads"]):
            part = slice(index * head, (index + 1) * head)
            shared = slice(index // groups * head, (index // groups + 1) * head)
            mixed.append((query[:, part] @ key[:, shared].T / math.sqrt(head)).softmax(-1) @ value[:, shared])
        return self._linear(torch.cat(mixed, dim=-1), f"{name}.wo")

    def _pool(self, features: Tensor) -> Tensor:
        """One crop [patches, width] into [tokens, width or window · width], window by window; what a window lacks is
        zero."""
        config = self.config
        rows, columns = (
            edge // config["vision_backbone"]["image_patch_size"]
            for edge in config["vision_backbone"]["image_default_input_size"]
        )
        height, width, kind = config["image_pooling_h"], config["image_pooling_w"], config["image_pooling_2d"]
        grid = features.reshape(rows, columns, -1)
        pooled = []
        for top in range(0, rows, height):
            for left in range(0, columns, width):
                window = torch.zeros(height, width, grid.shape[-1], dtype=grid.dtype)
                piece = grid[top : top + height, left : left + width]
                window[: piece.shape[0], : piece.shape[1]] = piece
                window = window.flatten(0, 1)
                if kind in ("none", "stack"):
                    pooled.append(window.flatten())
                    continue
                query = window[:1] if kind == "attention" else window.mean(0, keepdim=True)
                pooled.append(self._vision_attention(query, window, "model.vision_backbone.image_pooling_2d")[0])
        return torch.stack(pooled)
