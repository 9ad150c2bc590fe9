"""Keeps parameters that several models have in common once: variants share blocks, whatever their layer index is."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

_SAMPLE = 16  # values that tell most parameters apart before all are compared


def share_parameters(model: nn.Module, others: Iterable[nn.Module]) -> int:
    """Let `model` use the parameters of the others that equal its own bit by bit (in shape, type, device and order in
    memory too); returns the bytes it need not hold itself."""
    known: dict[Any, list[nn.Parameter]] = {}
    for other in others:
        for parameter in other.parameters():
            known.setdefault(_key(parameter), []).append(parameter)
    saved = 0
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            same = next((one for one in known.get(_key(parameter), ()) if _same_bits(one, parameter)), None)
            if same is not None:
                setattr(module, name, same)
                saved += parameter.nbytes
    return saved


def _key(parameter: nn.Parameter) -> Any:
    sample = parameter.detach().flatten()[:_SAMPLE].float().cpu().numpy().tobytes()
    return parameter.shape, parameter.stride(), parameter.dtype, parameter.device, parameter.requires_grad, sample


def _same_bits(one: nn.Parameter, other: nn.Parameter) -> bool:
    return one is other or torch.equal(_bits(one), _bits(other))


def _bits(parameter: nn.Parameter) -> torch.Tensor:
    return parameter.detach().contiguous().view(torch.uint8)
