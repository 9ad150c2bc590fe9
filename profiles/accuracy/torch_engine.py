"""The torch engine of evaluation: a variant folder run by transformers' modules, padded batches, greedy decoding."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from exporter.architectures.architecture import Architecture, manifest_architecture
from exporter.reference.model_class import read_model_config
from profiles.accuracy.engine import Request
from profiles.accuracy.prompts import PromptReader
from runtime.documents.checked_json import read_document
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.errors import VerificationError

_FAST_EXPERTS = "grouped_mm"


class TorchEngine:
    """One variant on one device."""

    def __init__(self, folder: Path, architecture: Architecture, *, device: str) -> None:
        """Load the variant in `folder`. Raises VerificationError when its config is not what the family's classes
        read."""
        config = read_document(folder / "config.json").value
        model_class, settings = read_model_config(folder, config, architecture=architecture, error=VerificationError)
        options = {"experts_implementation": _FAST_EXPERTS} if model_class._can_set_experts_implementation() else {}
        model = model_class.from_pretrained(folder, config=settings, dtype="auto", local_files_only=True, **options)
        self._model = model.eval().to(device)
        self._device = device
        self._prompts = PromptReader(folder, architecture)

    @property
    def dtype(self) -> str:
        """The data type of the weights."""
        return str(self._model.dtype).removeprefix("torch.")

    @property
    def software(self) -> Mapping[str, str]:
        """Versions of torch and transformers, the device and its threads."""
        return {
            "torch": torch.__version__,
            "transformers": importlib.metadata.version("transformers"),
            "torch device": self._device,
            "torch threads": str(torch.get_num_threads()),
        }

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def generate(
        self, requests: Sequence[Request], *, max_new_tokens: int, following: Sequence[Request] = ()
    ) -> list[str]:
        """The greedy answers of a batch, padded on the left; nothing is prepared for `following`."""
        inputs = {
            name: self._placed(value) for name, value in self._prompts.read(requests, side="left", kind="pt").items()
        }
        output = self._model.generate(
            **inputs, do_sample=False, num_beams=1, max_new_tokens=max_new_tokens, pad_token_id=self._prompts.pad_id
        )
        return self._prompts.texts(output[:, inputs["input_ids"].shape[1] :])

    def close(self) -> None:
        """Drop the model."""
        del self._model

    def _placed(self, value: torch.Tensor) -> torch.Tensor:
        return value.to(self._device, self._model.dtype if value.is_floating_point() else value.dtype)


class TorchOpener:
    """Opens variants of the family in `folder`."""

    def __init__(
        self, folder: Path, manifest: Manifest, *, device: str | None = None, threads: int | None = None
    ) -> None:
        """`device` None takes CUDA where there is one, else the CPU; `threads` None leaves torch's own number for the
        process."""
        if threads is not None:
            torch.set_num_threads(threads)
        self._folder = folder
        self._variants: Mapping[str, VariantRecord] = {variant.id: variant for variant in manifest.variants}
        self._architecture = manifest_architecture(manifest)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        transformers_logging.disable_progress_bar()  # a bar for each variant would break up our own line

    def __call__(self, variant: str) -> TorchEngine:
        """The engine of a variant."""
        return TorchEngine(self._folder / self._variants[variant].folder, self._architecture, device=self._device)
