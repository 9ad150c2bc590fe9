"""Compares sessions on prepared weights with sessions that pack for themselves: every bit of what they answer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runtime.documents.graph_contract import INPUT_IDS, LOGITS
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import naming, open_session
from runtime.engines.prepared.prepared import Prepared
from runtime.engines.protocol import Array
from runtime.errors import VerificationError

_ROWS, _TOKENS = 32, 16  # so many that hardly an expert stays unread, in less than any model's context


def check_answers(prepared: Prepared, graphs: Sequence[Path]) -> None:
    """Read random prompts with each graph, prepared and not, and one token more. Raises VerificationError naming the
    graph whose logits differ, or that the runtime refuses."""
    for graph in graphs:
        with naming(str(graph)):
            plain = OnnxDecoder(open_session(graph, threads=1, spinning=False, packed=True))
            values = _random_values(plain)
            expected = _logits(plain, values)
            del plain  # its packed weights are its own
            model, data = prepared.graph(graph), prepared.folder
            session = open_session(model, threads=1, spinning=False, packed=True, data_folder=data)
            found = _logits(OnnxDecoder(session), values)
        if not np.array_equal(found, expected):  # also for NaN
            raise VerificationError(
                f"{graph}: the logits of random prompts on prepared weights are not those without: max |Δ| "
                f"{float(np.abs(found - expected).max()):.3g} of {float(np.abs(expected).max()):.3g}"
            )


def _random_values(decoder: OnnxDecoder) -> Array:
    """What the decoder takes, of random tokens."""
    generator = np.random.default_rng(0)
    if decoder.input == INPUT_IDS:
        vocabulary = next(value.shape[-1] for value in decoder.session.get_outputs() if value.name == LOGITS)
        return generator.integers(0, vocabulary, (_ROWS, _TOKENS))
    width = next(value.shape[-1] for value in decoder.session.get_inputs() if value.name == decoder.input)
    return generator.standard_normal((_ROWS, _TOKENS, width)).astype(decoder.input_dtype)


def _logits(decoder: OnnxDecoder, values: Array) -> Array:
    """Those of the last tokens: of a prompt, and of a token behind it."""
    cache = decoder.start(batch=_ROWS, capacity=_TOKENS)
    answers = [cache.run(part, first_logits=-1)[LOGITS] for part in (values[:, :-1], values[:, -1:])]
    return np.concatenate(answers)
