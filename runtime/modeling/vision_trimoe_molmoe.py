"""MolmoE's vision side: the CLIP tower, the pooling of neighbouring patches and the projector into the language model's
width."""

import torch
from torch import nn
from torch.nn import functional as F
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_trimoe_molmoe import TrimoeMolmoeConfig


class TrimoeMolmoeVisionAttention(nn.Module):
    """Attention without mask, used by the tower (queries = keys) and by the pooling (one query a window)."""

    def __init__(self, config: TrimoeMolmoeConfig, input_dim: int) -> None:
        super().__init__()
        vision = config.vision
        self.head_dim = vision.image_head_dim
        self.groups = vision.image_num_heads // vision.image_num_key_value_heads
        self.float32_attention = config.float32_attention
        self.attention_dropout = vision.attention_dropout
        self.residual_dropout = vision.residual_dropout
        query_dim = vision.image_num_heads * vision.image_head_dim
        key_dim = vision.image_num_key_value_heads * vision.image_head_dim
        self.wq = nn.Linear(input_dim, query_dim)
        self.wk = nn.Linear(input_dim, key_dim)
        self.wv = nn.Linear(input_dim, key_dim)
        self.wo = nn.Linear(query_dim, vision.image_emb_dim)

    def forward(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Attend from `queries` [n, q, input_dim] to `keys` [n, k, input_dim]; returns [n, q, image_emb_dim]."""
        query, key, value = (
            layer(states).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for layer, states in ((self.wq, queries), (self.wk, keys), (self.wv, keys))
        )
        if self.groups > 1:
            key, value = key.repeat_interleave(self.groups, dim=1), value.repeat_interleave(self.groups, dim=1)
        dtype = query.dtype
        if self.float32_attention:
            wide = torch.promote_types(dtype, torch.float32)
            query, key, value = query.to(wide), key.to(wide), value.to(wide)
        mixed = F.scaled_dot_product_attention(
            query, key, value, dropout_p=self.attention_dropout if self.training else 0.0
        )
        output: torch.Tensor = self.wo(mixed.to(dtype).transpose(1, 2).flatten(2))
        return F.dropout(output, self.residual_dropout, self.training)


class TrimoeMolmoeVisionMLP(nn.Module):
    """Two linear layers around the tower's activation."""

    def __init__(self, config: TrimoeMolmoeConfig) -> None:
        super().__init__()
        vision = config.vision
        self.w1 = nn.Linear(vision.image_emb_dim, vision.image_mlp_dim)
        self.w2 = nn.Linear(vision.image_mlp_dim, vision.image_emb_dim)
        self.act = ACT2FN[vision.image_mlp_activations]

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map [..., image_emb_dim] to the same shape."""
        output: torch.Tensor = self.w2(self.act(self.w1(hidden_states)))
        return output


class TrimoeMolmoeVisionBlock(GradientCheckpointingLayer):  # type: ignore[misc]
    """One pre-norm transformer layer of the tower."""

    def __init__(self, config: TrimoeMolmoeConfig) -> None:
        super().__init__()
        vision = config.vision
        self.attention = TrimoeMolmoeVisionAttention(config, vision.image_emb_dim)
        self.feed_forward = TrimoeMolmoeVisionMLP(config)
        self.attention_norm = nn.LayerNorm(vision.image_emb_dim, eps=vision.image_norm_eps)
        self.ffn_norm = nn.LayerNorm(vision.image_emb_dim, eps=vision.image_norm_eps)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map [crops, 1 + patches, image_emb_dim] to the same shape."""
        normed = self.attention_norm(hidden_states)
        hidden_states = hidden_states + self.attention(normed, normed)
        return hidden_states + self.feed_forward(self.ffn_norm(hidden_states))


class TrimoeMolmoeVisionBlocks(nn.Module):
    """The layers of the tower, under the checkpoint's name `transformer.resblocks`."""

    def __init__(self, config: TrimoeMolmoeConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList([TrimoeMolmoeVisionBlock(config) for _ in range(config.vision.image_num_layers)])


class TrimoeMolmoeVisionTransformer(nn.Module):
    """CLIP's image tower; returns the outputs of the layers in `vit_layers`, side by side."""

    def __init__(self, config: TrimoeMolmoeConfig) -> None:
        super().__init__()
        vision = config.vision
        self.grid = vision.grid
        depth = vision.image_num_layers
        self.output_layers = tuple(layer % depth for layer in (config.vit_layers or [-1]))
        self.class_embedding = nn.Parameter(torch.empty(vision.image_emb_dim))
        self.positional_embedding = nn.Parameter(torch.empty(vision.image_num_pos, vision.image_emb_dim))
        self.patch_embedding = nn.Linear(3 * vision.image_patch_size**2, vision.image_emb_dim, bias=False)
        self.pre_ln = nn.LayerNorm(vision.image_emb_dim, eps=vision.image_norm_eps)
        self.transformer = TrimoeMolmoeVisionBlocks(config)

    def _positions(self) -> torch.Tensor:
        """Positional embeddings of the class token and of the grid, resized when the grid is not the trained one."""
        first, patches = self.positional_embedding[:1], self.positional_embedding[1:]
        side = int(patches.shape[0] ** 0.5)
        if (side, side) != self.grid:
            square = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
            # In float32: processors have no bicubic kernel for half types.
            resized = F.interpolate(square.float(), size=self.grid, mode="bicubic", align_corners=False, antialias=True)
            patches = resized.to(patches.dtype).permute(0, 2, 3, 1).flatten(0, 2)
        return torch.cat([first, patches])

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Encode [crops, patches, 3·patch²] pixels; returns [crops, patches, layers · image_emb_dim], without the class
        token."""
        embedded = self.patch_embedding(patches)
        first = self.class_embedding.to(embedded.dtype).expand(embedded.shape[0], 1, -1)
        hidden_states = torch.cat([first, embedded], dim=1)
        hidden_states = self.pre_ln(hidden_states + self._positions().to(hidden_states.dtype))
        outputs: dict[int, torch.Tensor] = {}
        # Layers after the last one that is read (MolmoE-1B: layer 22 of 0–22) would be computed for nothing.
        for index, block in enumerate(self.transformer.resblocks[: max(self.output_layers) + 1]):
            hidden_states = block(hidden_states)
            if index in self.output_layers:
                outputs[index] = hidden_states[:, 1:]
        return torch.cat([outputs[index] for index in self.output_layers], dim=-1)


class TrimoeMolmoeImageProjector(nn.Module):
    """SwiGLU projector from pooled patches to the width of the language model."""

    def __init__(self, config: TrimoeMolmoeConfig, input_dim: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(input_dim, config.intermediate_size, bias=False)
        self.w2 = nn.Linear(config.intermediate_size, config.d_model, bias=False)
        self.w3 = nn.Linear(input_dim, config.intermediate_size, bias=False)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map [..., input_dim] to [..., d_model]."""
        output: torch.Tensor = self.w2(F.silu(self.w1(hidden_states)) * self.w3(hidden_states))
        return output


class TrimoeMolmoeVisionBackbone(nn.Module):
    """Crops in, one feature per image token out."""

    def __init__(self, config: TrimoeMolmoeConfig) -> None:
        super().__init__()
        vision = config.vision
        self.grid = vision.grid
        self.window = (config.image_pooling_h, config.image_pooling_w)
        self.pooling = config.image_pooling_2d.replace("_", "-")
        self.padding_embed = config.image_padding_embed
        self.feature_dropout = config.image_feature_dropout
        self.image_vit = TrimoeMolmoeVisionTransformer(config)
        width = vision.image_emb_dim * len(self.image_vit.output_layers)
        if self.padding_embed is not None:
            self.pad_embed = nn.Parameter(
                torch.empty((2, width) if self.padding_embed == "pad_and_partial_pad" else (width,))
            )
        self.image_pooling_2d: TrimoeMolmoeVisionAttention | None = None
        if self.pooling in ("attention", "attention-meanq"):
            self.image_pooling_2d = TrimoeMolmoeVisionAttention(config, width)
            width = vision.image_emb_dim
        elif self.pooling == "stack":
            width *= self.window[0] * self.window[1]
        self.image_projector: nn.Module
        if config.image_projector == "linear":
            self.image_projector = nn.Linear(width, config.d_model, bias=False)
        else:
            self.image_projector = TrimoeMolmoeImageProjector(config, width)

    def forward(self, images: torch.Tensor, image_masks: torch.Tensor | None) -> torch.Tensor:
        """Encode crops.

        `images` [batch, crops, patches, 3·patch²] (a crop of −1 everywhere is absent), `image_masks` [batch, crops,
        patches] the share of each patch that is picture. Returns [batch, crops, tokens, d_model]. ValueError when the
        shapes do not fit.
        """
        self._check_shapes(images, image_masks)
        batch, crops = images.shape[:2]
        present = (images != -1).flatten(2).any(dim=-1)
        weight = self.image_vit.patch_embedding.weight
        features = self.image_vit(images.flatten(0, 1).to(weight.dtype)).unflatten(0, (batch, crops))
        features = features * present[..., None, None].to(features.dtype)
        if image_masks is not None:
            features = self._mark_padding(features, image_masks)
        features = F.dropout(features, self.feature_dropout, self.training)
        projected: torch.Tensor = self.image_projector(self._pool(features.flatten(0, 1)))
        return projected.unflatten(0, (batch, crops))

    def _check_shapes(self, images: torch.Tensor, image_masks: torch.Tensor | None) -> None:
        patches, pixels = self.grid[0] * self.grid[1], self.image_vit.patch_embedding.in_features
        if images.ndim != 4 or tuple(images.shape[2:]) != (patches, pixels):
            raise ValueError(
                f"images has shape {tuple(images.shape)}; this model needs [batch, crops, {patches}, {pixels}]"
            )
        if self.padding_embed is not None and image_masks is None:
            raise ValueError(
                f"image_masks is required with images: the model's image_padding_embed is {self.padding_embed!r}"
            )
        if image_masks is not None and image_masks.shape != images.shape[:3]:
            raise ValueError(
                f"image_masks has shape {tuple(image_masks.shape)}; the images need {tuple(images.shape[:3])}"
            )

    def _mark_padding(self, features: torch.Tensor, image_masks: torch.Tensor) -> torch.Tensor:
        """Add `pad_embed` to patches that are padding: wholly (mask 0), or in part (mask below 1, absent crops' −1
        included)."""
        if self.padding_embed is None:
            return features
        masks = image_masks[..., None]
        if self.padding_embed == "regress":
            return features + self.pad_embed * masks.clamp(min=0).to(features.dtype)
        wholly = (masks == 0).to(features.dtype)
        if self.padding_embed == "pad_embed":
            return features + self.pad_embed * wholly
        partly = ((masks < 1) & (masks != 0)).to(features.dtype)
        return features + self.pad_embed[0] * wholly + self.pad_embed[1] * partly

    def _pool(self, features: torch.Tensor) -> torch.Tensor:
        """Turn [crops, patches, width] into one row per window, [crops, tokens, width]; a grid that does not divide is
        padded with zeros."""
        (rows, columns), (height, width) = self.grid, self.window
        grid = features.unflatten(1, self.grid)
        if rows % height or columns % width:
            grid = F.pad(grid, (0, 0, 0, -columns % width, 0, -rows % height))
        windows = grid.unflatten(2, (-1, width)).unflatten(1, (-1, height)).transpose(2, 3)  # [crops, h, w, dh, dw, c]
        crops, tokens = windows.shape[0], windows.shape[1] * windows.shape[2]
        windows = windows.flatten(3, 4).flatten(0, 2)  # [crops·tokens, dh·dw, c]
        if self.image_pooling_2d is None:
            return windows.reshape(crops, tokens, -1)
        # Contiguous: of strided input, torch computes other last bits for weights that want gradients than for those
        # that do not.
        query = windows.mean(dim=1, keepdim=True) if self.pooling == "attention-meanq" else windows[:, :1].contiguous()
        pooled: torch.Tensor = self.image_pooling_2d(query, windows)
        return pooled.reshape(crops, tokens, -1)
