"""MolmoE's graphs, vision to logits, against the model in torch."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from exporter.reference.golden_inputs import make_inputs
from runtime.documents.family_layout import EMBEDDINGS, VISION
from runtime.errors import PlanError
from tests.support.graph_families import Exported, GraphFamilies, masked_molmoe, quiet_session

SMALL_TOWER = {"image_num_layers": 3}
CONFIGS: dict[str, dict[str, Any]] = {
    "as published": {},
    "another grid than the trained one": {
        "vision_backbone": {**SMALL_TOWER, "image_default_input_size": [16, 24]},
        "vit_layers": [-1, 0],
    },
    "windows that do not divide the grid": {
        "vision_backbone": {**SMALL_TOWER, "image_default_input_size": [20, 24]},
        "vit_layers": [1],
    },
    "padding regressed, first query": {
        "vision_backbone": SMALL_TOWER,
        "vit_layers": [-2],
        "image_padding_embed": "regress",
        "image_pooling_2d": "attention",
    },
    "one padding embedding, stacked windows": {
        "vision_backbone": SMALL_TOWER,
        "vit_layers": [-2],
        "image_padding_embed": "pad_embed",
        "image_pooling_2d": "stack",
        "image_projector": "linear",
    },
    "no padding embedding, tied head": {
        "vision_backbone": SMALL_TOWER,
        "vit_layers": [-2],
        "image_padding_embed": None,
        "weight_tying": True,
    },
}


def embed(exported: Exported, ids: np.ndarray, features: np.ndarray, places: np.ndarray) -> np.ndarray:
    session = quiet_session(exported.path(EMBEDDINGS))
    return session.run(None, {"input_ids": ids, "image_features": features, "image_input_idx": places})[0]


@pytest.mark.parametrize("name", CONFIGS)
def test_an_image_and_its_prompt_give_the_logits_of_the_model(name: str, graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("molmoe", removed=(1,), n_layers=3, **CONFIGS[name])
    tensors = make_inputs(exported.source.checkpoint.config, vocabulary=100)
    inputs = {key: value.numpy() for key, value in tensors.items()}
    model = masked_molmoe(exported)
    with torch.no_grad():
        expected_features = model.model.vision_backbone(tensors["images"], tensors["image_masks"]).flatten(1, 2).numpy()
        expected = model(**tensors).logits.numpy()
    vision = quiet_session(exported.path(VISION))
    features = vision.run(None, {"images": inputs["images"], "image_masks": inputs["image_masks"]})[0]
    np.testing.assert_allclose(features, expected_features, rtol=0, atol=2e-5 * np.abs(expected_features).max())
    embeds = embed(exported, inputs["input_ids"], features, inputs["image_input_idx"])
    lengths = inputs["attention_mask"].sum(1)
    cache = exported.decoder(exported.plan.variants[0]).start(batch=2, capacity=embeds.shape[1])
    logits = cache.run(embeds, counts=lengths)["logits"]
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(
            logits[row, :length], expected[row, :length], rtol=0, atol=2e-5 * np.abs(expected).max()
        )


def test_text_alone_needs_no_image_tokens(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("molmoe", removed=(1,), n_layers=3, **CONFIGS["no padding embedding, tied head"])
    ids = np.asarray([[5, 130, 7]])  # 130 is one of the added tokens, from the second table
    embeds = embed(exported, ids, np.zeros((1, 0, 64), np.float32), np.zeros((1, 0, 9), np.int64))
    model = masked_molmoe(exported)
    with torch.no_grad():
        expected = model(torch.from_numpy(ids)).logits[0].numpy()
    logits = exported.decoder(exported.plan.variants[0]).start(batch=1, capacity=4).run(embeds)["logits"][0]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_features_go_where_their_index_says_and_nowhere_when_it_is_negative(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("molmoe", removed=(1,), n_layers=3, **CONFIGS["no padding embedding, tied head"])
    ids, features = np.asarray([[3, 4, 5, -1], [6, 7, 8, 9]]), np.ones((2, 3, 64), np.float32)
    features *= np.asarray([[1], [2], [4]], np.float32)
    plain = embed(exported, ids, features[:, :0], np.zeros((2, 0, 3), np.int64))
    added = embed(exported, ids, features, np.asarray([[[0, -100, 3]], [[-1, 1, -100]]])) - plain
    np.testing.assert_allclose(added[:, :, 0], [[1, 0, 0, 4], [0, 2, 0, 0]], atol=1e-6)


def test_of_several_features_at_one_position_the_last_stands_there_as_in_the_model(
    graph_families: GraphFamilies,
) -> None:
    exported = graph_families.exported("molmoe", removed=(1,), n_layers=3)
    tensors = make_inputs(exported.source.checkpoint.config, vocabulary=100)
    places = tensors["image_input_idx"]
    places[places > 4] = 4
    assert int((places == 4).sum()) > 2
    backbone = masked_molmoe(exported).model
    with torch.no_grad():
        features = backbone.vision_backbone(tensors["images"], tensors["image_masks"])
        words = backbone.transformer.wte(tensors["input_ids"].clamp(min=0))
        expected = backbone._add_image_features(words, tensors["images"], tensors["image_masks"], places, 0).numpy()
    found = embed(exported, tensors["input_ids"].numpy(), features.flatten(1, 2).numpy(), places.numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_an_index_beyond_the_row_is_an_error(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("molmoe", removed=(1,), n_layers=3, **CONFIGS["no padding embedding, tied head"])
    with pytest.raises(
        onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="indices element out of data bounds"
    ):
        embed(exported, np.asarray([[3, 4]]), np.ones((1, 1, 64), np.float32), np.asarray([[[2]]]))


def test_a_clipped_molmoe_clips_before_its_norms(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("molmoe", removed=(1,), n_layers=3, clip_qkv=0.8, vision_backbone=None)
    ids = np.asarray([[5, 6, 7, 8]])
    embeds = quiet_session(exported.path(EMBEDDINGS)).run(None, {"input_ids": ids})[0]
    with torch.no_grad():
        expected = masked_molmoe(exported)(torch.from_numpy(ids)).logits[0].numpy()
    logits = exported.decoder(exported.plan.variants[0]).start(batch=1, capacity=4).run(embeds)["logits"][0]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_vision_towers_without_an_onnx_form_are_refused(graph_families: GraphFamilies) -> None:
    with pytest.raises(PlanError, match="image_mlp_activations: 'gelu' has no ONNX form here; quick_gelu has"):
        graph_families.exported("molmoe", removed=(1,), n_layers=3, vision_backbone={"image_mlp_activations": "gelu"})
