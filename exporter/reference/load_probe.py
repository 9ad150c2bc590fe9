"""Run as a script in a process of its own: load variant folders with AutoModelForCausalLM, as a user would, and write
their logits.

It imports nothing of trimoe, so that what it loads is what the folder holds. It reads one JSON request from stdin and
prints a line of JSON before and one after each variant; errors end the process.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel, modeling_utils

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def main() -> None:
    """Load every variant of the request in turn; keep the weights of one in memory at a time."""
    request: dict[str, Any] = json.load(sys.stdin)
    inputs = load_file(request["inputs"])
    held: tuple[PreTrainedModel, Sequence[int]] | None = None
    for variant in request["variants"]:
        _say({"begin": variant["id"]})
        torch.set_num_threads(1)  # loading copies many small tensors
        if not variant["shares"]:
            held = model = None
        with _reading(_Shapes if variant["shares"] else _read):
            model, info = AutoModelForCausalLM.from_pretrained(
                variant["folder"],
                trust_remote_code=variant["remote_code"],
                local_files_only=True,
                output_loading_info=True,
            )
        if variant["shares"]:
            assert held is not None, "a variant that shares weights comes behind the one that has them"
            _share(*held, model, variant["layers"], request["blocks_at"])
        else:
            held = model, variant["layers"]
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


@contextmanager
def _reading(reader: Any) -> Iterator[None]:
    """Let transformers open safetensors files by `reader`; where it does not know this name, it reads all of them."""
    before = getattr(modeling_utils, "safe_open", None)
    modeling_utils.safe_open = reader
    try:
        yield
    finally:
        modeling_utils.safe_open = before


def _read(file: str, **options: Any) -> Any:
    """A file whose tensors are read, not mapped: mapped pages and the fused experts would be in memory at once."""
    return safe_open(file, **{**options, "backend": "pread"})


class _Shapes:
    """A file of which only names, types and shapes of tensors are read."""

    def __init__(self, file: str, **options: Any) -> None:
        self._file: Any = safe_open(file, framework="pt")

    def keys(self) -> list[str]:
        """The names of its tensors."""
        names: list[str] = self._file.keys()
        return names

    def get_slice(self, name: str) -> "_Shape":
        """A tensor without values."""
        return _Shape(self._file.get_slice(name))

    def metadata(self) -> Any:
        """What the file says of itself."""
        return self._file.metadata()

    def __enter__(self) -> "_Shapes":
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is kept open."""


class _Shape:
    """Stands in for a tensor of a file until it is placed."""

    def __init__(self, found: Any) -> None:
        self.get_shape, self.get_dtype = found.get_shape, found.get_dtype

    def __getitem__(self, _: object) -> torch.Tensor:
        empty = torch.empty(self.get_shape(), dtype=DTYPES[self.get_dtype()], device="meta")
        absent: torch.Tensor = torch.Tensor._make_subclass(_Absent, empty)
        return absent


class _Absent(torch.Tensor):  # type: ignore[misc]
    """A tensor without values that stays so on any device."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    def to(self, *, device: object = None, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The same in another type."""
        return torch.empty(self.shape, dtype=dtype or self.dtype, device="meta")


def _share(
    held: PreTrainedModel, held_layers: Sequence[int], model: PreTrainedModel, layers: Sequence[int], blocks_at: str
) -> None:
    """Give `model` the weights of the model held, those of the block that became each of its layers."""
    weights, prefix = dict(held.named_parameters(remove_duplicate=False)), f"{blocks_at}."
    for name, parameter in list(model.named_parameters(remove_duplicate=False)):
        if not parameter.is_meta:
            continue
        source = name
        if name.startswith(prefix):
            layer, _, inside = name[len(prefix) :].partition(".")
            source = f"{prefix}{held_layers.index(layers[int(layer)])}.{inside}"
        if weights[source].shape != parameter.shape or weights[source].dtype != parameter.dtype:
            what = f"{parameter.dtype} {list(parameter.shape)}"
            raise ValueError(f"{name} is {what}, {source} of a deeper variant is not")
        path, _, leaf = name.rpartition(".")
        model.get_submodule(path)._parameters[leaf] = weights[source]


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
