"""Reads and writes the demo model in the hub's checkpoint layout: one file of float32 tensors, one tensor per expert
projection."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from runtime.modeling.configuration_trimoe_molmoe import TrimoeMolmoeConfig
from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM

WEIGHTS = "model.safetensors"


def new_model(folder: Path) -> TrimoeMolmoeForCausalLM:
    """A model with random weights from the configuration in `folder`."""
    config = TrimoeMolmoeConfig.from_pretrained(folder)
    model: TrimoeMolmoeForCausalLM = TrimoeMolmoeForCausalLM._from_config(config, experts_implementation="grouped_mm")
    return model


def load_model(folder: Path) -> TrimoeMolmoeForCausalLM:
    """The trained model, float32, ready to predict."""
    config = TrimoeMolmoeConfig.from_pretrained(folder)
    model: TrimoeMolmoeForCausalLM = TrimoeMolmoeForCausalLM.from_pretrained(
        folder, config=config, dtype=torch.float32, experts_implementation="grouped_mm"
    )
    model.eval()
    return model


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer in `folder`."""
    return PreTrainedTokenizerFast.from_pretrained(folder)


def hub_tensors(model: TrimoeMolmoeForCausalLM) -> dict[str, torch.Tensor]:
    """The model's tensors under the hub's names: the fused experts are split into one gate, up and down projection
    each."""
    tensors: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict().items():
        stem, _, leaf = name.rpartition(".")
        if leaf == "gate_up_proj":
            for expert, fused in enumerate(value):
                gate, up = fused.chunk(2, dim=0)
                tensors |= {f"{stem}.{expert}.gate_proj.weight": gate, f"{stem}.{expert}.up_proj.weight": up}
        elif leaf == "down_proj":
            tensors |= {f"{stem}.{expert}.down_proj.weight": down for expert, down in enumerate(value)}
        else:
            tensors[name] = value
    return {name: value.detach().contiguous().clone() for name, value in sorted(tensors.items())}


def save_weights(model: TrimoeMolmoeForCausalLM, folder: Path) -> None:
    """Writes `model.safetensors` into `folder`."""
    save_file(hub_tensors(model), folder / WEIGHTS, metadata={"format": "pt"})
