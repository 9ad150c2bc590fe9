"""On a CUDA device: exported variants, loaded by transformers, answer there as their golden files say. `make gpu-check`
runs this."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from exporter.reference.golden import compare_loosely, pick, read_golden, read_inputs
from tests.support.families import SOURCES, ModelFamilies

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device that torch can use"),
]


@pytest.mark.parametrize("family", SOURCES)
def test_every_variant_answers_on_cuda_as_its_golden_file_says(family: str, model_family: ModelFamilies) -> None:
    plan, target = model_family(family)
    inputs = {name: tensor.to("cuda") for name, tensor in read_inputs(target).items()}
    for variant in plan.variants:
        folder = target / "variants" / variant.id
        model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).to("cuda").eval()
        golden = read_golden(target / "golden" / f"{variant.id}.safetensors")
        with torch.no_grad():
            logits = model(**inputs).logits.cpu()
        assert compare_loosely(golden, pick(logits, golden.positions), because="computed on CUDA").startswith("max")
