"""Batches whose rows differ in length, over several prefills, against each row alone and without a cache in
transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runtime.documents.family_layout import EMBEDDINGS, VISION
from runtime.documents.graph_contract import hidden_name, scores_name
from runtime.engines.onnx.added_outputs import with_outputs
from runtime.engines.onnx.cache import Cache
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session
from tests.support.graph_families import (
    CASES,
    Exported,
    GraphFamilies,
    export_graphs,
    masked_molmoe,
    quiet_session,
    reference_logits,
    write_graph_model,
)
from tests.support.tiny_transformers import masked_original

PARTS = (
    (5, 9, 2),
    (1, 1, 1),
    (1, 1, 0),
    (4, 0, 7),
    (1, 1, 1),
    (1, 0, 1),
    (1, 1, 1),
    (0, 1, 2),
)  # tokens of each row in call after call
TOP_K = (4, 2, 3, 1)  # of each source block
Embed = Callable[[np.ndarray], np.ndarray]


def check_parts(
    cache: Cache, rows: Callable[[list[int]], np.ndarray], *, seed: int, embed: Embed = lambda ids: ids, first: int = 0
) -> None:
    """Feed PARTS of random ids, padded on the right, and compare the logits of each new token with those of the whole
    row alone."""
    generator = np.random.default_rng(seed)
    texts: list[list[int]] = [[] for _ in PARTS[0]]
    for counts in PARTS:
        ids = generator.integers(2, 100, (len(counts), max(counts)))
        logits = cache.run(embed(ids), counts=counts, first_logits=min(first, max(counts) - 1))["logits"]
        assert logits.shape[:2] == (len(counts), max(counts) - min(first, max(counts) - 1))
        for row, count in enumerate(counts):
            texts[row] += ids[row, :count].tolist()
            wanted = count - min(first, max(counts) - 1)
            if wanted > 0:
                expected = rows(texts[row])[-wanted:]
                np.testing.assert_allclose(logits[row, :wanted], expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(cache.lengths, np.sum(PARTS, axis=0))


@pytest.mark.parametrize("case", CASES)
def test_rows_of_different_lengths_go_through_prefill_decode_and_prefill_again(case: str, tmp_path: Path) -> None:
    model = write_graph_model(tmp_path / "source", case, seed=3)
    top_k = {"llama": None, "qwen2_moe": (4, 4, 3, 1)}.get(case, TOP_K)  # a dense block keeps the source's
    exported = export_graphs(tmp_path / "source", tmp_path / "family", top_k=top_k)
    variant = exported.plan.variants[0]
    reference, decoder = masked_original(model, variant.layers, variant.top_k), exported.decoder(variant)
    for seed in range(3):
        check_parts(
            decoder.start(batch=3, capacity=32), lambda ids: reference_logits(reference, ids), seed=seed, first=2 * seed
        )


def test_embeddings_of_different_lengths_go_through_prefill_decode_and_prefill_again(
    graph_families: GraphFamilies,
) -> None:
    exported = graph_families.exported("molmoe", removed=(1,), vision_backbone=None)
    model, embeddings = masked_molmoe(exported), quiet_session(exported.path(EMBEDDINGS))

    def rows(ids: list[int]) -> np.ndarray:
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0].numpy()

    decoder = exported.decoder(exported.plan.variants[0])
    for seed in range(3):
        check_parts(
            decoder.start(batch=3, capacity=32),
            rows,
            seed=seed,
            embed=lambda ids: embeddings.run(None, {"input_ids": ids})[0],
        )


def test_rows_with_more_or_fewer_images_go_on_as_text(graph_families: GraphFamilies) -> None:
    """Two crops, none and one, each with tokens that stand nowhere; then decoding, and another prefill."""
    exported = graph_families.exported("molmoe", removed=(1,), n_layers=3)
    sessions = {name: quiet_session(exported.path(name)) for name in (VISION, EMBEDDINGS)}
    generator, crops, width = np.random.default_rng(5), (2, 0, 1), 30
    images, places = np.full((3, 2, 36, 48), -1, np.float32), np.full((3, 2, 9), -100)
    masks = np.full((3, 2, 36), -1, np.float32)
    for row, count in enumerate(crops):
        images[row, :count] = generator.standard_normal((count, 36, 48))
        masks[row, :count] = generator.choice([0.0, 0.5, 1.0], (count, 36))
        places[row, :count, 1:] = generator.permutation(20)[: 8 * count].reshape(count, 8)
    features = sessions[VISION].run(None, {"images": images, "image_masks": masks})[0]
    model, cache = (
        masked_molmoe(exported),
        exported.decoder(exported.plan.variants[0]).start(batch=3, capacity=width + 8),
    )
    ids = generator.integers(2, 100, (3, width + 8))
    seen = np.zeros(3, np.int64)
    for counts in ((30, 13, 21), (1, 1, 1), (4, 6, 1), (1, 0, 1)):
        step = np.stack(
            [
                np.resize(row[begin : begin + count], max(counts))
                for row, begin, count in zip(ids, seen, np.maximum(counts, 1), strict=True)
            ]
        )
        used = {"image_features": features, "image_input_idx": places}
        if seen.any():
            used = {name: value[:, :0] for name, value in used.items()}
        logits = cache.run(sessions[EMBEDDINGS].run(None, {"input_ids": step, **used})[0], counts=counts)["logits"]
        seen += counts
        for row, count in enumerate(counts):
            pixels = {"images": images, "image_masks": masks, "image_input_idx": places} if crops[row] else {}
            alone = {name: torch.from_numpy(value[row : row + 1, : crops[row]]) for name, value in pixels.items()}
            with torch.no_grad():
                expected = (
                    model(torch.from_numpy(ids[row : row + 1, : seen[row]]), **alone)
                    .logits[0, seen[row] - count :]
                    .numpy()
                )
            np.testing.assert_allclose(logits[row, :count], expected, rtol=0, atol=2e-5 * np.abs(logits).max())


@pytest.fixture
def small(graph_families: GraphFamilies) -> Exported:
    return graph_families.exported("olmoe")


def start(exported: Exported, *, batch: int, capacity: int) -> Cache:
    return exported.decoder(exported.plan.variants[0]).start(batch=batch, capacity=capacity)


def test_a_second_prefill_gives_hidden_states_and_scores_in_the_layout_of_the_first(small: Exported) -> None:
    graph = small.path(small.plan.variants[0].id)
    names = [hidden_name(1), scores_name(1)]
    decoder = OnnxDecoder(
        open_session(with_outputs(graph.read_bytes(), names), data_folder=graph.parent, threads=1, spinning=False)
    )
    ids = np.random.default_rng(0).integers(2, 128, (2, 9))
    counts, cache = (5, 3), decoder.start(batch=2, capacity=16)
    cache.run(ids[:, :4])
    found = cache.run(ids[:, 4:], counts=counts)
    whole = decoder.start(batch=2, capacity=16).run(ids, counts=(9, 7))
    assert {name: value.shape for name, value in found.items()} == {
        "logits": (2, 5, 128),
        names[0]: (2, 5, 64),
        names[1]: (10, 8),
    }
    for name, value in found.items():
        in_rows, expected = value.reshape(2, 5, -1), whole[name].reshape(2, 9, -1)[:, 4:]
        for row, count in enumerate(counts):
            np.testing.assert_allclose(
                in_rows[row, :count], expected[row, :count], rtol=0, atol=1e-5 * np.abs(expected).max()
            )


def test_padding_behind_a_single_row_with_a_past_changes_nothing(small: Exported) -> None:
    ids = np.random.default_rng(0).integers(2, 128, (1, 9))
    padded, plain = start(small, batch=1, capacity=9), start(small, batch=1, capacity=9)
    for cache in (padded, plain):
        cache.run(ids[:, :4])
    np.testing.assert_allclose(
        padded.run(ids[:, 4:], counts=[3])["logits"][0, :3], plain.run(ids[:, 4:7])["logits"][0], atol=1e-5
    )
    np.testing.assert_allclose(padded.run(ids[:, 7:8])["logits"], plain.run(ids[:, 7:8])["logits"], atol=1e-5)


def test_padding_needs_no_room_in_the_buffers(small: Exported) -> None:
    ids = np.random.default_rng(0).integers(2, 128, (2, 6))
    tight, wide = start(small, batch=2, capacity=5), start(small, batch=2, capacity=16)
    first, second = (cache.run(ids, counts=(4, 2))["logits"] for cache in (tight, wide))
    for row, count in enumerate((4, 2)):
        np.testing.assert_allclose(first[row, :count], second[row, :count], atol=1e-5)
    steps = [cache.run(ids[:, :1], counts=counts)["logits"] for counts in ((1, 0), (0, 1)) for cache in (tight, wide)]
    np.testing.assert_allclose(steps[0][0], steps[1][0], atol=1e-5)
    np.testing.assert_allclose(steps[2][1], steps[3][1], atol=1e-5)
    assert tight.lengths.tolist() == [5, 3]


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((3, 2), {}, "3 rows of values and 3 counts do not fit the 2 rows of the buffers"),
        ((2, 2), {"counts": [2]}, "2 rows of values and 1 counts do not fit the 2 rows"),
        ((2, 2), {"counts": [1, 3]}, r"counts \[1, 3\] do not fit: a row has 0–2 tokens here"),
        ((2, 2), {"counts": [-1, 2]}, r"counts \[-1, 2\] do not fit"),
        ((2, 2), {"counts": [0, 0]}, r"counts \[0, 0\] do not fit: .* and one row some"),
        ((2, 0), {}, r"counts \[0, 0\] do not fit"),
        ((2, 2), {"first_logits": 2}, "first_logits 2 does not fit: there are 2 positions"),
        ((2, 2), {"first_logits": -3}, "first_logits -3 does not fit: there are 2 positions"),
        ((2, 6), {}, "9 tokens do not fit: the buffers hold 8"),
    ],
)
def test_what_does_not_fit_the_buffers_is_refused_and_leaves_them_as_they_are(
    shape: tuple[int, int], options: dict[str, Any], message: str, small: Exported
) -> None:
    cache = start(small, batch=2, capacity=8)
    ids = np.full((2, 3), 5)
    cache.run(ids)
    with pytest.raises(ValueError, match=message):
        cache.run(np.ones(shape, np.int64), **options)
    assert cache.lengths.tolist() == [3, 3]
    np.testing.assert_allclose(
        cache.run(ids, first_logits=-1)["logits"],
        start(small, batch=2, capacity=8).run(np.full((2, 6), 5), first_logits=-1)["logits"],
        atol=1e-5,
    )
