"""Initial weights for a model this narrow: MolmoE's 0.02 is meant for 2,048 columns and lets no signal through 64."""

import torch
from torch import nn

from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM

_OUTPUTS = ("attn_out", "down_proj", "wo", "w2")


@torch.no_grad()  # type: ignore[untyped-decorator]
def initialize(model: TrimoeMolmoeForCausalLM) -> None:
    """Draws every matrix with variance 1 / columns; what writes into the residual stream is smaller by √(2 ·
    blocks)."""
    blocks = len(model.model.transformer.blocks)
    for name, value in model.named_parameters():
        if value.ndim < 2 or name.endswith(("positional_embedding", "pad_embed")):
            continue
        std = value.shape[-1] ** -0.5
        if ".blocks." in name and any(part in name for part in _OUTPUTS):
            std /= (2 * blocks) ** 0.5
        if name.endswith(("wte.embedding", "wte.new_embedding", "mlp.gate.weight")):
            std = model.config.initializer_range
        nn.init.normal_(value, std=std)
