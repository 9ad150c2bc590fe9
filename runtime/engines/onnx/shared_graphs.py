"""The graphs in front of a family's decoders, which all of them share: images into features, tokens and features into
embeddings."""

from collections.abc import Mapping

import numpy as np
import onnxruntime

from runtime.documents.graph_contract import (
    IMAGE_FEATURES,
    IMAGE_INPUT_IDX,
    IMAGE_MASKS,
    IMAGES,
    INPUT_IDS,
)
from runtime.engines.onnx.values import DTYPES, read, value_of
from runtime.engines.protocol import Array
from runtime.errors import VerificationError

PIXELS, FEATURES = (IMAGES, IMAGE_MASKS), (IMAGE_FEATURES, IMAGE_INPUT_IDX)


class SharedGraph:
    """A graph with one output, in any type."""

    def __init__(self, session: onnxruntime.InferenceSession, name: str) -> None:
        """Read the types of the inputs. Raises VerificationError, naming the graph, for one of a type unknown here."""
        self.kinds = {value.name: value.type for value in session.get_inputs()}
        unknown = [kind for kind in self.kinds.values() if kind not in DTYPES]
        if unknown:
            raise VerificationError(f"{name}.onnx takes {', '.join(unknown)}; known are {', '.join(DTYPES)}")
        self._widths = {value.name: value.shape[-1] for value in session.get_inputs()}
        self._session, self._name = session, name
        self._output = session.get_outputs()[0].name

    def run(self, values: Mapping[str, Array]) -> Array:
        """The output, in float32 where it is bfloat16; `values` are rounded to the types that the graph takes. Raises
        VerificationError when they are not its inputs."""
        if set(values) != set(self.kinds):
            raise VerificationError(f"{self._name}.onnx takes {', '.join(self.kinds)}; there are {', '.join(values)}")
        feeds = {name: value_of(value, self.kinds[name]) for name, value in values.items()}
        return read(self._session.run_with_ort_values([self._output], feeds)[0])

    def without_rows(self, name: str, batch: int) -> Array:
        """An input [batch, 0, its width] that holds nothing."""
        return np.zeros((batch, 0, self._widths[name]), DTYPES[self.kinds[name]])


class SharedGraphs:
    """From prompts to what a decoder takes: token ids where there is no embeddings graph."""

    def __init__(self, embeddings: SharedGraph | None, vision: SharedGraph | None) -> None:
        self._embeddings, self._vision = embeddings, vision

    def features(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The image inputs of the embeddings graph, made of `images` [rows, crops, patches, pixels] and what belongs to
        them; without a row where there are none."""
        if self._vision is None or self._embeddings is None:
            return {}
        if IMAGES in inputs:
            pixels = {name: inputs[name] for name in PIXELS if name in self._vision.kinds}
            return {IMAGE_FEATURES: self._vision.run(pixels), IMAGE_INPUT_IDX: inputs[IMAGE_INPUT_IDX]}
        batch = len(inputs[INPUT_IDS])
        return {
            IMAGE_FEATURES: self._embeddings.without_rows(IMAGE_FEATURES, batch),
            IMAGE_INPUT_IDX: np.zeros((batch, 0, 1), np.int64),
        }

    def embed(self, ids: Array, features: Mapping[str, Array] | None = None) -> Array:
        """What the decoder takes for `ids` [rows, n]: embeddings [rows, n, hidden] with the features added (None: no
        images), or the ids."""
        if self._embeddings is None:
            return ids.astype(np.int64, copy=False)
        if features is None:
            features = self.features({INPUT_IDS: ids})
        return self._embeddings.run({INPUT_IDS: ids, **features})
