"""What is asked of a machine, as far as time depends on it: a variant as a sum of its layers, and the sizes of a
request.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """The layers of a variant: `counts` has (k, how many layers use k experts a token), k None for dense layers, in
    ascending order; `experts` is the number to choose from (0 in a dense model).

    Which source blocks they are and in which order they stand does not change their work.
    """

    counts: tuple[tuple[int | None, int], ...]
    experts: int

    @classmethod
    def of(cls, top_k: Sequence[int | None], *, experts: int) -> Self:
        """The layers of a variant from its experts per token, one entry a layer."""
        found = Counter(top_k)
        return cls(counts=tuple(sorted(found.items(), key=lambda item: item[0] or 0)), experts=experts)

    @property
    def depth(self) -> int:
        """The number of layers."""
        return sum(count for _, count in self.counts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """A batch of sequences of one size: `vision_tokens` and `text_tokens` of each prompt."""

    batch: int = 1
    vision_tokens: int
    text_tokens: int

    @property
    def prompt_tokens(self) -> int:
        """Tokens of one prompt."""
        return self.vision_tokens + self.text_tokens
