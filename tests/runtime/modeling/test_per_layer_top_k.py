"""Models with one top_k per layer, loaded as a user would: AutoModelForCausalLM and the modeling file in the folder."""

import json
import re
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import safe_open
from transformers import AutoModelForCausalLM, PreTrainedModel

from exporter.architectures.supported import ARCHITECTURES
from runtime.modeling import modeling_trimoe_per_layer_top_k as modeling
from tests.support.tiny_transformers import (
    BLOCKS,
    EXPERT_FAMILIES,
    EXPERTS,
    masked_original,
    write_transformers,
    write_with_list,
)

TOP_K = [2, 1, 3, 4, 1]
INPUTS = torch.arange(3, 27).reshape(2, 12)


pytestmark = pytest.mark.usefixtures("one_thread")


def load(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, local_files_only=True).eval()


def tensor_names(folder: Path) -> set[str]:
    names: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            names |= set(file.keys())
    return names


@pytest.mark.parametrize("architecture", EXPERT_FAMILIES)
@torch.no_grad()
def test_it_equals_the_model_whose_routers_were_set_by_hand(architecture: str, tmp_path: Path) -> None:
    source = write_transformers(architecture, tmp_path / "source")
    expected = masked_original(AutoModelForCausalLM.from_pretrained(source), range(BLOCKS), TOP_K)
    model, info = AutoModelForCausalLM.from_pretrained(
        write_with_list(source, tmp_path / "variant", architecture, TOP_K),
        trust_remote_code=True,
        output_loading_info=True,
    )
    assert not any(info.values())
    assert type(model).__module__.startswith("transformers_modules.")
    for implementation in ("eager", "batched_mm", "grouped_mm"):
        expected.set_experts_implementation(implementation)
        model.set_experts_implementation(implementation)
        assert model.config._experts_implementation == implementation
        assert torch.equal(model(INPUTS).logits, expected(INPUTS).logits)
    mask = torch.ones_like(INPUTS)
    generated = [m.generate(INPUTS, attention_mask=mask, max_new_tokens=5, do_sample=False) for m in (model, expected)]
    assert torch.equal(*generated)


@pytest.mark.parametrize("architecture", EXPERT_FAMILIES)
@torch.no_grad()
def test_saving_and_loading_again_keeps_the_list_and_the_names_on_disk(architecture: str, tmp_path: Path) -> None:
    source = write_transformers(architecture, tmp_path / "source")
    model = load(write_with_list(source, tmp_path / "variant", architecture, TOP_K))
    model.save_pretrained(tmp_path / "again")
    again = load(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text("utf-8"))["top_k_per_layer"] == TOP_K
    assert torch.equal(again(INPUTS).logits, model(INPUTS).logits)
    assert tensor_names(tmp_path / "again") == tensor_names(source)


def test_without_trust_the_folder_is_refused(tmp_path: Path) -> None:
    folder = write_with_list(write_transformers("olmoe", tmp_path / "source"), tmp_path / "variant", "olmoe", TOP_K)
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param([1, 2], "has 2 values, the model has 5 layers", id="too short"),
        pytest.param(
            [1, 2, 3, 4, EXPERTS + 1],
            r"top_k_per_layer\[4\] is 9; allowed are 1 to 8",
            id="more than there are experts",
        ),
        pytest.param([1, 0, 1, 1, 1], r"top_k_per_layer\[1\] is 0", id="zero"),
        pytest.param([1, 1, 1, 1, "4"], "expected", id="a string"),
        pytest.param([1, 1, 1, 1, 2.0], "expected", id="a float"),
        pytest.param([True, 1, 1, 1, 1], "top_k_per_layer", id="a boolean"),
        pytest.param(None, "top_k_per_layer is missing", id="missing"),
    ],
)
@pytest.mark.parametrize("name", ["Olmoe", "Mixtral", "Qwen2Moe", "Qwen3Moe"])
def test_a_list_that_does_not_fit_is_refused(name: str, values: object, said: str) -> None:
    fields = {
        "num_hidden_layers": BLOCKS,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_attention_heads": 2,
        "vocab_size": 8,
    }
    experts = {"num_local_experts" if name == "Mixtral" else "num_experts": EXPERTS}
    with torch.device("meta"), pytest.raises((ValueError, StrictDataclassError)) as caught:
        config = getattr(modeling, f"Trimoe{name}Config")(**fields, **experts, top_k_per_layer=values)
        getattr(modeling, f"Trimoe{name}ForCausalLM")(config)
    assert re.search(said, str(caught.value))


def test_the_families_name_classes_that_exist() -> None:
    for architecture in ARCHITECTURES:
        for _, target in architecture.own_type.auto_map:
            module, name = target.split(".")
            if module == "modeling_trimoe_per_layer_top_k":
                assert isinstance(getattr(modeling, name), type)
                assert modeling.__name__.endswith(module)
