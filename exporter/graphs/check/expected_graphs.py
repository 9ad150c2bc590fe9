"""What the graphs of a family in one type must be and answer: by the plan while it is exported, by the family itself
afterwards."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import onnx_ir as ir
import torch

from exporter.graphs.check.reference import Expected, Tensors
from exporter.graphs.weights.precision import Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedGraph:
    """The file of a graph, what its metadata must say, and the graph it must be node by node (None: not compared,
    `note` says why)."""

    path: Path
    metadata: Mapping[str, str]
    model: ir.Model | None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedDecoder:
    """A variant's graph with the experts per token of each layer (None: a dense one), and how long a row may become."""

    graph: ExpectedGraph
    top_k: tuple[int | None, ...]
    positions: int


class ExpectedGraphs(Protocol):
    """The graphs of a family in one type (exporter.graphs.check.staged_graphs.PlannedGraphs,
    exporter.graphs.check.rebuilt_graphs.RebuiltGraphs)."""

    @property
    def folder(self) -> Path:
        """The family's folder."""

    @property
    def precision(self) -> Precision:
        """The type of weights."""

    @property
    def origin(self) -> str:
        """Where the expectation comes from, for messages: "the plan"."""

    def shared(self) -> Mapping[str, ExpectedGraph]:
        """The graphs in front of the decoders by name, where there are any."""

    def blocks(self) -> Mapping[str, ExpectedGraph]:
        """The graphs of blocks, and those before and behind them, by name. Raises TrimoeError where they cannot be
        planned."""

    def decoder(self, variant: str) -> ExpectedDecoder:
        """The graph of the variant of that id. Raises TrimoeError where it cannot be planned."""

    def embeddings(self, variant: str, inputs: Tensors) -> torch.Tensor:
        """What transformers feeds to the variant's first block, image features included: [rows, length, hidden]."""

    def answers(
        self, inputs: Mapping[str, Tensors], progress: Callable[[float], None]
    ) -> Iterator[tuple[str, Expected]]:
        """What transformers computes for the variants of these ids, each of its inputs, once all have run side by side.
        `progress` is told which share of that is done, 1 in all."""
