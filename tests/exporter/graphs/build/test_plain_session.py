"""Graphs in anybody's hands: plain onnxruntime with default options gives right answers or an error."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from transformers import DynamicCache

from exporter.graphs.check.inspect import metadata
from tests.support.graph_families import GraphFamilies, write_graph_model

Past = dict[str, np.ndarray]
WRONG = onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument
REFUSED = "padding stands behind the tokens of each row, and there is none in several tokens over a cache"
VARIANT = "b3-k2"
ROW = np.random.default_rng(0).integers(2, 128, 12).tolist()


class Plain:
    """A text decoder as its users run it, keys and values handed from run to run."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self.outputs = [value.name for value in session.get_outputs()]

    def empty(self, batch: int) -> Past:
        pasts = [value for value in self.session.get_inputs() if value.name.startswith("past")]
        return {one.name: np.zeros((batch, one.shape[1], 0, one.shape[3]), np.float32) for one in pasts}

    def run(self, ids: Sequence[Sequence[int]], mask: Sequence[Sequence[int]], past: Past) -> tuple[np.ndarray, Past]:
        feeds = {"input_ids": np.asarray(ids, np.int64), "attention_mask": np.asarray(mask, np.int64), **past}
        logits, *present = self.session.run(None, feeds)
        names = (name.replace("present", "past_key_values") for name in self.outputs[1:])
        return logits, dict(zip(names, present, strict=True))


@pytest.fixture
def plain(graph_families: GraphFamilies) -> Plain:
    return Plain(onnxruntime.InferenceSession(str(graph_families.exported("olmoe").path(VARIANT))))


def ones(count: int) -> list[int]:
    return [1] * count


@pytest.mark.parametrize("precision", ["float32", "int8", "int4"])
@pytest.mark.parametrize(
    ("ids", "mask"),
    [([[0, 0, *ROW[:6]]], [[0, 0, *ones(6)]]), ([ROW[:6], [0, *ROW[:5]]], [ones(6), [0, *ones(5)]])],
    ids=["one row", "one of two rows"],
)
def test_padding_on_the_left_is_an_error(
    precision: str, ids: list[list[int]], mask: list[list[int]], graph_families: GraphFamilies
) -> None:
    path = graph_families.exported("olmoe", precision=precision).path(VARIANT)
    plain = Plain(onnxruntime.InferenceSession(str(path)))
    with pytest.raises(WRONG, match=REFUSED):
        plain.run(ids, mask, plain.empty(len(ids)))


def test_padding_between_tokens_is_an_error(plain: Plain) -> None:
    with pytest.raises(WRONG, match=REFUSED):
        plain.run([[*ROW[:3], 0, *ROW[3:6]]], [[*ones(3), 0, *ones(3)]], plain.empty(1))


@pytest.mark.parametrize("mask", [[*ones(9), 0], [*ones(4), 0, 0, *ones(4)]], ids=["behind them", "in the cache"])
def test_padding_with_several_tokens_over_a_cache_is_an_error(mask: list[int], plain: Plain) -> None:
    _, past = plain.run([ROW[:6]], [ones(6)], plain.empty(1))
    with pytest.raises(WRONG, match=REFUSED):
        plain.run([[*ROW[6:9], 0]], [mask], past)


def test_padded_rows_chunks_and_steps_whose_mask_keeps_the_padding_are_right(plain: Plain) -> None:
    whole, _ = plain.run([ROW], [ones(12)], plain.empty(1))
    scale, lengths = np.abs(whole).max(), (6, 4)
    ids, mask = [ROW[:6], [*ROW[:4], 0, 0]], [ones(6), [*ones(4), 0, 0]]
    logits, past = plain.run(ids, mask, plain.empty(2))
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(logits[row, :length], whole[0, :length], rtol=0, atol=1e-5 * scale)
    for step in range(3):
        mask = [[*row, 1] for row in mask]
        logits, past = plain.run([[ROW[length + step]] for length in lengths], mask, past)
        for row, length in enumerate(lengths):
            np.testing.assert_allclose(logits[row, 0], whole[0, length + step], rtol=0, atol=1e-5 * scale)
    _, past = plain.run([ROW[:5]], [ones(5)], plain.empty(1))
    logits, _ = plain.run([ROW[5:]], [ones(12)], past)
    np.testing.assert_allclose(logits, whole[:, 5:], rtol=0, atol=1e-5 * scale)


def test_a_context_of_more_than_32768_tokens_works(graph_families: GraphFamilies, tmp_path: Path) -> None:
    positions, known = 40_000, 33_000
    model = write_graph_model(tmp_path / "source", "llama", max_position_embeddings=positions)
    exported = graph_families.exported("llama", max_position_embeddings=positions, removed=())
    plain = Plain(onnxruntime.InferenceSession(str(exported.path(exported.plan.variants[0].id))))
    random, cache, past = np.random.default_rng(0), DynamicCache(config=model.config), plain.empty(1)
    for layer in range(model.config.num_hidden_layers):
        names = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        for name in names:
            _, heads, _, width = past[name].shape
            past[name] = random.standard_normal((1, heads, known, width)).astype(np.float32)
        cache.update(*(torch.from_numpy(past[name]) for name in names), layer)
    with torch.no_grad():
        expected = model(torch.tensor([ROW[:3]]), past_key_values=cache).logits.numpy()
    found, _ = plain.run([ROW[:3]], [ones(known + 3)], past)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_graphs_say_what_whoever_runs_them_must_know(graph_families: GraphFamilies) -> None:
    says = {}
    for precision in ("float32", "int4", "bfloat16"):
        path = graph_families.exported("olmoe", precision=precision).path(VARIANT)
        says[precision] = metadata(onnx.load(str(path), load_external_data=False))
    told = says["float32"]
    assert (told["trimoe.padding_side"], told["trimoe.context_length"]) == ("right", "256")
    assert (told["trimoe.end_tokens"], told["trimoe.pad_token"]) == ("1", "0")
    assert [one["trimoe.oldest_onnxruntime"] for one in says.values()] == ["1.28", "1.31", "1.28"]
    providers = [one["trimoe.providers"] for one in says.values()]
    assert providers == ["CPUExecutionProvider", "CPUExecutionProvider", "CUDAExecutionProvider"]
