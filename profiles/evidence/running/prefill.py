"""One batch read by many cuts at once: blocks that several cuts run alike, before they first differ, run once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache

from profiles.evidence.running.cut import Cut, Node, Step, as_tree
from profiles.evidence.running.staged_model import Entered, StagedModel


class _Noted(Cache):  # type: ignore[misc]
    """Notes the keys and values [rows, heads, length, width] of the one block that is run with it."""

    def __init__(self) -> None:
        self.states: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Nothing came before: they are what is attended to."""
        self.states = key_states, value_states
        return self.states


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """What a cut made of a batch: the last block's output [rows, length, width], and for each block that ran its keys
    and values."""

    cut: Cut
    hidden: torch.Tensor
    states: Mapping[Step, tuple[torch.Tensor, torch.Tensor]]


def read_batch(
    model: StagedModel,
    inputs: Mapping[str, torch.Tensor],
    cuts: Sequence[Cut],
    *,
    found: Callable[[Read], None],
    ran: Callable[[], None] = lambda: None,
) -> None:
    """Run `inputs` (keywords of the model's forward) through every cut and hand each to `found`; what it is handed
    lives until that returns. At most one path through the blocks is in memory. `ran` is told of each block that was
    run."""
    walk = _Walk(model, model.enter(inputs), found, ran)
    walk.below(as_tree(cuts, model.blocks), walk.entered.hidden)


class _Walk:
    """A walk through the tree of cuts, depth first; `_path` has the states of the blocks run so far."""

    def __init__(
        self, model: StagedModel, entered: Entered, found: Callable[[Read], None], ran: Callable[[], None]
    ) -> None:
        self.entered = entered
        self._model, self._found, self._ran = model, found, ran
        self._path: dict[Step, tuple[torch.Tensor, torch.Tensor]] = {}

    def below(self, node: Node, hidden: torch.Tensor) -> None:
        """Everything that follows on what left the node's block."""
        for cut in node.ends:
            self._found(Read(cut=cut, hidden=hidden, states=dict(self._path)))
        for (block, top_k), child in node.children.items():
            noted = _Noted()
            keywords = self.entered.keywords[block]
            following = self._model.run(block, hidden, keywords, top_k=top_k, cache=noted)
            assert noted.states is not None  # every block attends
            self._path[block, top_k] = noted.states
            self._ran()
            self.below(child, following)
            del self._path[block, top_k]
