"""Which classes run a folder, by its config alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import OlmoeForCausalLM

from runtime.engines.torch.model_class import read_model_config
from runtime.errors import VerificationError
from runtime.modeling.modeling_trimoe_per_layer_top_k import TrimoeOlmoeForCausalLM

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 32, "num_experts": 4}
MODULE = "modeling_trimoe_per_layer_top_k"
OWN = {"AutoConfig": f"{MODULE}.TrimoeOlmoeConfig", "AutoModelForCausalLM": f"{MODULE}.TrimoeOlmoeForCausalLM"}


def read(**config: Any) -> Any:
    return read_model_config(Path("variant"), {**SIZES, **config}, error=VerificationError)


def test_a_type_of_transformers_is_run_by_its_own_classes_whatever_auto_map_says() -> None:
    for extra in ({}, {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}):
        model_class, config = read(model_type="olmoe", **extra)
        assert model_class is OlmoeForCausalLM and config.num_hidden_layers == 2


def test_a_type_of_trimoe_is_run_by_its_modeling_files() -> None:
    model_class, config = read(model_type="trimoe_olmoe", auto_map=OWN, top_k_per_layer=[2, 1])
    assert model_class is TrimoeOlmoeForCausalLM and config.top_k_per_layer == [2, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "unheard"}, 'model_type is "unheard", which neither transformers nor this trimoe knows'),
        ({"model_type": "trimoe_olmoe"}, 'model_type is "trimoe_olmoe", which neither'),
        ({"model_type": "trimoe_mixtral", "auto_map": OWN}, 'model_type is "trimoe_mixtral", which neither'),
        (
            {"model_type": "trimoe_olmoe", "auto_map": {**OWN, "AutoModelForCausalLM": "evil.Model"}},
            "auto_map.AutoModelForCausalLM: 'evil.Model' is no class that this trimoe has",
        ),
        (
            {
                "model_type": "trimoe_olmoe",
                "auto_map": {**OWN, "AutoModelForCausalLM": f"{MODULE}.TrimoeMixtralForCausalLM"},
            },
            'model_type is "trimoe_olmoe", which neither',
        ),
        (
            {"model_type": "trimoe_olmoe", "auto_map": OWN, "top_k_per_layer": [2]},
            "refused by the model's config class: .*top_k_per_layer has 1 values, the model has 2 layers",
        ),
    ],
    ids=json.dumps,
)
def test_what_trimoe_does_not_know_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(VerificationError, match=f"variant/config.json: {message}"):
        read(**changes)
