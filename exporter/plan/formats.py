"""The forms a family gets besides safetensors. Pure."""

from dataclasses import dataclass

# Raised whenever the same plan would give other bytes in the data files of the graphs: what an older trimoe staged is
# then written anew.
GRAPH_LAYOUT = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphFormat:
    """ONNX graphs of every variant: in which types of weights, by name, and the version of how these are laid out."""

    precisions: tuple[str, ...]
    layout: int
