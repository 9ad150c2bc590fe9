"""A way to run a model: without some blocks, with fewer experts in others; and many such ways as a tree. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

Step = tuple[int, int | None]
"""A block that is run, and its experts per token; None: the source's number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """The model without the `removed` blocks, ascending; `top_k` has (block, experts per token), ascending, where a
    kept block uses another number than the source. The whole model has neither. Raises ValueError for anything else."""

    removed: tuple[int, ...] = ()
    top_k: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        changed = [block for block, _ in self.top_k]
        for what, blocks in (("removed blocks", list(self.removed)), ("blocks with a top_k", changed)):
            if blocks != sorted(set(blocks)) or any(block < 0 for block in blocks):
                raise ValueError(f"{what} must ascend from 0 on, not {blocks}")
        if both := sorted(set(changed) & set(self.removed)):
            raise ValueError(f"blocks {both} are removed and have a top_k")

    def steps(self, blocks: int) -> tuple[Step, ...]:
        """The blocks that run, in order, of a model of so many. Raises ValueError for a block that it has not."""
        named = (*self.removed, *(block for block, _ in self.top_k))
        if named and max(named) >= blocks:
            raise ValueError(f"no block {max(named)}: the model has blocks 0–{blocks - 1}")
        changed = dict(self.top_k)
        return tuple((block, changed.get(block)) for block in range(blocks) if block not in self.removed)


WHOLE = Cut()


@dataclass(kw_only=True, slots=True)
class Node:
    """What several cuts run alike: `children` by what comes next, and the cuts that `end` here."""

    children: "dict[Step, Node]" = field(default_factory=dict)
    ends: list[Cut] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """How many blocks are run for all cuts below, each that they share once."""
        return sum(1 + child.runs for child in self.children.values())


def as_tree(cuts: Iterable[Cut], blocks: int) -> Node:
    """The cuts of a model of so many blocks, each once, sharing what they run before they first differ."""
    root = Node()
    for cut in dict.fromkeys(cuts):
        node = root
        for step in cut.steps(blocks):
            node = node.children.setdefault(step, Node())
        node.ends.append(cut)
    return root
