"""Questions with the answer that each variant gives alone: what every answer of the server is compared with."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles.datasets.dataset import Dataset, fill_prompt
from runtime.documents.baseline import ONNX
from runtime.documents.manifest import Manifest
from runtime.engines.greedy import generate
from runtime.engines.open import open_engine
from runtime.engines.prompts import PromptReader, Question
from runtime.engines.protocol import Engine
from runtime.engines.settings import EngineSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedQuestion:
    """A question as a chat sends it, the task that the baseline has it under, if any, and the greedy answers by
    variant."""

    content: tuple[Mapping[str, Any], ...]
    task: str | None
    max_tokens: int
    answers: Mapping[str, str]

    def body(self, **fields: Any) -> dict[str, Any]:
        """The chat."""
        messages = [{"role": "user", "content": list(self.content)}]
        return {"messages": messages, "max_tokens": self.max_tokens, **fields}


def record_answers(
    family: Path, manifest: Manifest, datasets: Sequence[Dataset], *, dtype: str
) -> tuple[RecordedQuestion, ...]:
    """The questions of all data sets, answered by all variants one at a time. Raises what engines and prompts raise."""
    reader = PromptReader(family / manifest.variants[0].folder)
    engine = open_engine(ONNX, family, manifest, EngineSettings(dtype=dtype))
    try:
        return tuple(
            _recorded(engine, reader, manifest, dataset, place)
            for dataset in datasets
            for place in range(len(dataset.samples))
        )
    finally:
        engine.close()


def _recorded(
    engine: Engine, reader: PromptReader, manifest: Manifest, dataset: Dataset, place: int
) -> RecordedQuestion:
    sample, settings = dataset.samples[place], dataset.settings
    text, image = fill_prompt(settings.prompt, sample), sample.open_image()
    content: list[Mapping[str, Any]] = [{"type": "text", "text": text}]
    if image is not None:
        held = io.BytesIO()
        image.save(held, format="PNG")
        url = f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"
        content.append({"type": "image_url", "image_url": {"url": url}})
    question, answers = Question(text=text, image=image), {}
    for variant in manifest.variants:
        prompts = reader.read((question,), variant=variant.id)
        rows = generate(engine, prompts, max_new_tokens=settings.max_new_tokens, ends=reader.ends)
        answers[variant.id] = reader.texts(rows)[0]
    return RecordedQuestion(
        content=tuple(content), task=dataset.name, max_tokens=settings.max_new_tokens, answers=answers
    )
