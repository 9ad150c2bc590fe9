"""Batches as keywords of a model's forward."""

from collections.abc import Sequence

import torch

from profiles.evidence.running.staged_model import StagedModel
from runtime.documents.graph_contract import ATTENTION_MASK
from runtime.engines.padding import stack
from runtime.engines.protocol import Prompt


def batch_inputs(prompts: Sequence[Prompt], model: StagedModel) -> dict[str, torch.Tensor]:
    """Prompts padded on the right, on the model's device, images in its type."""
    inputs = {}
    for name, value in stack(prompts, side="right").items():
        tensor = torch.from_numpy(value)
        inputs[name] = tensor.to(model.device, model.dtype if tensor.is_floating_point() else tensor.dtype)
    inputs["position_ids"] = (inputs[ATTENTION_MASK].cumsum(-1) - 1).clamp(min=0)
    return inputs
