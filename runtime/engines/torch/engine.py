"""The torch engine: variant folders run by transformers' modules, over one copy of the parameters that they share."""

import importlib.metadata
import logging
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from runtime.documents.checked_json import read_document
from runtime.documents.family_files import FamilyFiles
from runtime.documents.family_layout import CONFIG, GOLDEN, GOLDEN_INPUTS
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.engines.mixed_batch import MixedBatch
from runtime.engines.padding import group_by_variant
from runtime.engines.protocol import NO_CLOCK, Prompt, StageClock
from runtime.engines.torch.model_class import read_model_config
from runtime.engines.torch.rows import Rows
from runtime.engines.torch.self_test import self_test
from runtime.engines.torch.shared_parameters import share_parameters
from runtime.engines.trust import CheckRecords, Checks
from runtime.errors import VerificationError

_FAST_EXPERTS = "grouped_mm"
_log = logging.getLogger(__name__)


class TorchEngine:
    """The variants of the family (or standalone copy) in `folder`, in the checkpoint's own type on one device.

    A variant is read whole and then lets go of what another already holds: while it is loaded, memory is needed for it
    beside the shared copy.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        device: str | None = None,
        threads: int | None = None,
        records: CheckRecords | None = None,
    ) -> None:
        """`device` None takes CUDA where there is one, else the CPU; `threads` None leaves torch's own number for the
        process. `records` of checks that passed spare repeating them."""
        if threads is not None:
            torch.set_num_threads(threads)
        self._place, self._manifest = FamilyFiles(folder).place, manifest
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._models: dict[str, Any] = {}
        self._checks = Checks(folder, manifest, software=self.software, records=records)
        self._loading = Lock()
        transformers_logging.disable_progress_bar()  # a bar for each variant would break up our own line

    @property
    def software(self) -> Mapping[str, str]:
        """Versions of torch and transformers, the device and its threads."""
        return {
            "torch": torch.__version__,
            "transformers": importlib.metadata.version("transformers"),
            "torch device": self._device,
            "torch threads": str(torch.get_num_threads()),
        }

    @property
    def shares_weights(self) -> bool:
        """See Engine."""
        return True

    def load(self, variant: str) -> str:
        """See Engine. Raises VerificationError also for a file that is not the recorded one and for a config that its
        classes do not read. Variants exported without golden outputs run untested, with a warning."""
        return str(self._loaded(variant).dtype).removeprefix("torch.")

    def prefill(self, prompts: Sequence[Prompt], *, max_new_tokens: int, clock: StageClock = NO_CLOCK) -> MixedBatch:
        """See Engine; the room for new tokens grows as they come."""
        groups = group_by_variant(prompts)
        models = {variant: self._loaded(variant) for variant in groups}
        return MixedBatch(
            [
                (places, Rows(variant, models[variant], [prompts[place] for place in places], clock=clock))
                for variant, places in groups.items()
            ]
        )

    def unload(self, variant: str) -> None:
        """Drop the variant's model; parameters that another one uses stay."""
        self._models.pop(variant, None)

    def close(self) -> None:
        """Drop all models."""
        self._models.clear()

    def _loaded(self, variant: str) -> Any:
        """The variant's model. One is read at a time, for the next to share its parameters; those that are loaded run
        meanwhile."""
        found = self._models.get(variant)
        if found is None:
            with self._loading:
                found = self._models.get(variant) or self._load(variant)
                self._models[variant] = found
        return found

    def _load(self, variant: str) -> Any:
        record = self._manifest.variant(variant)
        opened = cache(partial(self._open, record))
        self._checks.run(_files(record, self._manifest), lambda: self._test(opened(), record))
        return opened()

    def _open(self, record: VariantRecord) -> Any:
        folder = self._place(record.folder)
        config = read_document(folder / CONFIG).value
        model_class, settings = read_model_config(folder, config, error=VerificationError)
        options = {"experts_implementation": _FAST_EXPERTS} if model_class._can_set_experts_implementation() else {}
        model = model_class.from_pretrained(folder, config=settings, dtype="auto", local_files_only=True, **options)
        model = model.eval().to(self._device)
        share_parameters(model, tuple(self._models.values()))
        return model

    def _test(self, model: Any, record: VariantRecord) -> None:
        if record.golden is not None:
            self_test(model, record.id, self._place(GOLDEN).parent, record.golden)
            return
        folder = self._place(record.folder)
        _log.warning("%s: no golden outputs, so it runs without a self-test: exported with --no-logits", folder)


def _files(variant: VariantRecord, manifest: Manifest) -> tuple[str, ...]:
    """Everything that the variant's answers depend on, and what its self-test reads."""
    inside = f"{variant.folder}/"
    own = (file.path for file in manifest.files if file.path.startswith(inside))
    return (*own, *(() if variant.golden is None else (variant.golden, GOLDEN_INPUTS)))
