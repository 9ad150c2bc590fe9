"""The load-balancing loss of a sparse mixture, collected from the routers of the blocks that ran."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class RouterRecord:
    """Router outputs of one forward pass."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def loss(self, attention_mask: torch.Tensor) -> torch.Tensor:
        """Experts · Σ (share of choices · mean probability), averaged over blocks; padding does not count. 1 × top_k
        when balanced."""
        weight = attention_mask.reshape(-1, 1).float()
        total = weight.sum()
        losses = []
        for logits, chosen in self.calls:
            experts = logits.shape[-1]
            probabilities = logits.reshape(-1, experts).float().softmax(-1)
            counts = torch.zeros_like(probabilities).scatter_(1, chosen.reshape(len(probabilities), -1), 1.0)
            losses.append(
                experts * ((counts * weight).sum(0) / total * ((probabilities * weight).sum(0) / total)).sum()
            )
        return torch.stack(losses).mean()


@contextmanager
def recorded_routers(model: nn.Module) -> Iterator[RouterRecord]:
    """Inside, every pass of a block's router is recorded."""
    record = RouterRecord()

    def keep(module: nn.Module, inputs: tuple[torch.Tensor, ...], outputs: tuple[torch.Tensor, ...]) -> None:
        record.calls.append((outputs[0], outputs[2].detach()))

    handles = [block.mlp.gate.register_forward_hook(keep) for block in model.model.transformer.blocks]
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()
