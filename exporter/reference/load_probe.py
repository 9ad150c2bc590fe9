"""Run as a script in a process of its own: load variant folders with AutoModelForCausalLM, as a user would, and write
their logits.

It imports nothing of trimoe, so that what it loads is what the folder holds. It reads one JSON request from stdin and
prints a line of JSON before and one after each variant; errors end the process.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel


def main() -> None:
    """Load every variant of the request in turn; keep one in memory at a time."""
    request: dict[str, Any] = json.load(sys.stdin)
    inputs = load_file(request["inputs"])
    for variant in request["variants"]:
        _say({"begin": variant["id"]})
        torch.set_num_threads(1)  # loading copies many small tensors
        model, info = AutoModelForCausalLM.from_pretrained(
            variant["folder"], trust_remote_code=variant["remote_code"], local_files_only=True, output_loading_info=True
        )
        experts = "eager" if use_runnable_experts(model) else None
        positions = torch.tensor(variant["positions"])
        torch.set_num_threads(request["threads"])
        with torch.no_grad():
            logits = model.eval()(**inputs, use_cache=False).logits[torch.arange(len(positions))[:, None], positions]
        save_file({"logits": logits.contiguous()}, Path(request["results"]) / f"{variant['id']}.safetensors")
        found = {key: sorted(map(str, names)) for key, names in info.items()}
        eos = model.generation_config.eos_token_id
        _say({"end": variant["id"], "class": type(model).__name__, "experts": experts, "info": found, "eos": eos})
        del model


def use_runnable_experts(model: PreTrainedModel) -> bool:
    """Let the experts of `model` run eagerly where the grouped kernel cannot run them; returns whether that is so.

    The kernel wants float32, bfloat16 or float16 and rows of whole 16 bytes (half types: widths in multiples of 8), and
    fails in the middle of a forward without them.
    """
    experts = [weight for _, weight in model.named_parameters() if weight.ndim == 3 and weight.is_floating_point()]
    if all(weight.element_size() <= 4 and weight.shape[-1] * weight.element_size() % 16 == 0 for weight in experts):
        return False
    model.set_experts_implementation("eager")
    return True


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
