"""Block influence: how much each block turns what passes through it.

1 − the mean cosine of a block's input and output over all tokens (ShortGPT: Men et al., arXiv:2403.03853, equation 1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from profiles.evidence.running.staged_model import StagedModel
from runtime.documents.graph_contract import ATTENTION_MASK


@dataclass(kw_only=True, slots=True)
class Influence:
    """Sums over the batches seen so far: of the cosines of each block, and of tokens."""

    model: StagedModel
    ran: Callable[[], None] = lambda: None
    tokens: int = 0
    _cosines: list[float] = field(default_factory=list)

    def add(self, inputs: Mapping[str, torch.Tensor]) -> None:
        """Run a batch (keywords of the model's forward) through the whole model; padding does not count."""
        real = inputs[ATTENTION_MASK].bool()
        found = []
        with torch.inference_mode():
            entered = self.model.enter(inputs)
            hidden = entered.hidden
            for block, keywords in enumerate(entered.keywords):
                before, hidden = hidden, self.model.run(block, hidden, keywords)
                cosines = torch.nn.functional.cosine_similarity(before[real].float(), hidden[real].float(), dim=-1)
                found.append(float(cosines.double().sum()))
                self.ran()
        self.tokens += int(real.sum())
        self._cosines = [one + other for one, other in zip(self._cosines or [0.0] * len(found), found, strict=True)]

    @property
    def scores(self) -> tuple[float, ...]:
        """The influence of each block. Raises ValueError before any batch."""
        if not self.tokens:
            raise ValueError("no tokens were read")
        return tuple(1 - cosine / self.tokens for cosine in self._cosines)
