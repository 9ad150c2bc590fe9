"""The self-test's part for the graphs in front of the decoders: run on golden prompts, compared with what they gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.documents.family_layout import EMBEDDINGS, VISION
from runtime.documents.golden_outputs import GraphGolden
from runtime.documents.graph_contract import (
    FAMILY_DIGEST,
    FOLLOWING_IDS,
    IMAGE_FEATURES,
    IMAGES,
    INPUT_IDS,
    INPUTS_EMBEDS,
    PRECISION,
    check_metadata,
)
from runtime.engines.onnx.session import open_session
from runtime.engines.onnx.shared_graphs import FEATURES, PIXELS, SharedGraph
from runtime.engines.protocol import Array
from runtime.errors import VerificationError


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedSelfTest:
    """The graphs in `folder` on the tensors `prompts` of the golden file `inputs`; `limit` is relative to the largest
    value of each output."""

    folder: Path
    inputs: Path
    prompts: Mapping[str, Array]
    expected: GraphGolden
    provider: str
    threads: int | None
    limit: float

    def find_difference(self) -> str | None:
        """What differs, and in which graph and row; None where nothing does. Embeddings are made from the golden
        features, so that an error of the vision graph is not taken for theirs. Raises VerificationError for a graph or
        a golden tensor that is missing, and for a graph of another family."""
        return self._vision_difference() or self._embeddings_difference()

    def _vision_difference(self) -> str | None:
        if IMAGES not in self.prompts:
            return None
        absent = [name for name in (*PIXELS, *FEATURES, INPUTS_EMBEDS) if name not in self.prompts]
        if absent:
            raise VerificationError(
                f"{self.inputs}: {', '.join(absent)} of prompts with images missing; export the family again"
            )
        found = self._open(VISION).run({name: self.prompts[name] for name in PIXELS})
        return self._compare(VISION, IMAGE_FEATURES, found, self.prompts[IMAGE_FEATURES])

    def _embeddings_difference(self) -> str | None:
        if INPUTS_EMBEDS not in self.prompts:
            return None
        if FOLLOWING_IDS not in self.prompts:
            raise VerificationError(f"{self.inputs}: {FOLLOWING_IDS} missing; export the family again")
        graph, continuation = self._open(EMBEDDINGS), self.expected.continuation
        features = {name: self.prompts[name] for name in FEATURES if name in self.prompts}
        found = graph.run({INPUT_IDS: self.prompts[INPUT_IDS], **features})
        none = {name: value[:, :0] for name, value in features.items()}
        following = graph.run({INPUT_IDS: self.prompts[FOLLOWING_IDS][:, : continuation.shape[1]], **none})
        return self._compare(EMBEDDINGS, INPUTS_EMBEDS, found, self.prompts[INPUTS_EMBEDS]) or self._compare(
            EMBEDDINGS, f"{INPUTS_EMBEDS} of what follows the prompt", following, continuation
        )

    def _open(self, name: str) -> SharedGraph:
        path = self.folder / f"{name}.onnx"
        if not path.is_file():
            raise VerificationError(f"{path}: missing; the golden prompts {self.inputs} go through it")
        session = open_session(path, provider=self.provider, threads=self.threads)
        wanted = {PRECISION: self.expected.precision, FAMILY_DIGEST: self.expected.family_digest}
        source = f"the golden file of {self.expected.variant}"
        check_metadata(path, session.get_modelmeta().custom_metadata_map, wanted, source=source)
        return SharedGraph(session, name)

    def _compare(self, graph: str, what: str, found: Array, expected: Array) -> str | None:
        """The first row [rows, n, hidden] that is further from the expected one than allowed."""
        if found.shape != expected.shape:
            return f"{graph}.onnx gives {what} of shape {list(found.shape)}, golden is {list(expected.shape)}"
        scale = float(np.abs(expected).max())
        for row, (one, other) in enumerate(zip(found, expected, strict=True)):
            difference = float(np.abs(one.astype(np.float32) - other.astype(np.float32)).max()) / scale
            if not difference <= self.limit:  # also for NaN
                delta = f"max |Δ| of {what} is {difference:.3g} of the largest, allowed {self.limit:.3g}"
                return f"{graph}.onnx, row {row}: {delta}"
        return None
