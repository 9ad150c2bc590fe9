"""Texts for questions: what evaluation asks of an engine and a variant, the next batch prepared meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from profiles.sample import Sample
from runtime.documents.baseline import ONNX
from runtime.documents.manifest import Manifest
from runtime.engines.greedy import generate
from runtime.engines.open import open_engine
from runtime.engines.prompts import PromptReader, Question
from runtime.engines.protocol import Engine, Prompt
from runtime.engines.settings import DEFAULTS, EngineSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleQuestion:
    """A prompt, already filled in, and the sample whose image goes with it."""

    prompt: str
    sample: Sample


class Answerer(Protocol):
    """A variant that answers."""

    @property
    def dtype(self) -> str:
        """The data type of the weights, e.g. `float32`."""

    @property
    def software(self) -> Mapping[str, str]:
        """Names and versions of what the answers may depend on."""

    def answer(
        self, questions: Sequence[SampleQuestion], *, max_new_tokens: int, following: Sequence[SampleQuestion] = ()
    ) -> list[str]:
        """The greedy answer to each question, in order, without special tokens. What comes after may be prepared
        meanwhile: `following`."""

    def close(self) -> None:
        """Free the variant."""


AnswererOpener = Callable[[str], Answerer]  # the answerer of a variant, by its id


class EngineAnswerer:
    """One variant of an engine's family. The batch that follows is read by a thread of its own. A single sample is read
    when it is due: handing it over would take longer."""

    def __init__(self, engine: Engine, variant: str, folder: Path) -> None:
        """Load the variant, whose files are in `folder`. Raises what engines and prompts raise."""
        self._engine, self._variant, self._prompts = engine, variant, PromptReader(folder)
        self.dtype = engine.load(variant)
        self._reader = ThreadPoolExecutor(1)
        self._ahead: tuple[Sequence[SampleQuestion], Future[tuple[Prompt, ...]]] | None = None

    @property
    def software(self) -> Mapping[str, str]:
        """That of the engine, and of the tokenizer."""
        return {**self._engine.software, **self._prompts.software}

    def answer(
        self, questions: Sequence[SampleQuestion], *, max_new_tokens: int, following: Sequence[SampleQuestion] = ()
    ) -> list[str]:
        """See Answerer. Raises DatasetError for an image that cannot be read."""
        prompts = self._prepared(questions)
        if len(following) > 1:
            self._ahead = following, self._reader.submit(self._read, following)
        rows = generate(self._engine, prompts, max_new_tokens=max_new_tokens, ends=self._prompts.ends)
        return self._prompts.texts(rows)

    def close(self) -> None:
        """Free the variant; the engine stays open for others."""
        self._reader.shutdown(cancel_futures=True)
        self._engine.unload(self._variant)

    def _prepared(self, questions: Sequence[SampleQuestion]) -> tuple[Prompt, ...]:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == questions:
            return ahead[1].result()
        return self._read(questions)

    def _read(self, questions: Sequence[SampleQuestion]) -> tuple[Prompt, ...]:
        read = (Question(text=one.prompt, image=one.sample.open_image()) for one in questions)
        return self._prompts.read(read, variant=self._variant)


def open_answerers(
    names: Sequence[str],
    folder: Path,
    manifest: Manifest,
    *,
    dtypes: Sequence[str],
    settings: EngineSettings = DEFAULTS,
) -> tuple[tuple[str, AnswererOpener], ...]:
    """How to open variants of the family in `folder`, for each engine by name, the ONNX engine once for each of
    `dtypes`; all else is as in `settings`. Raises what `open_engine` raises."""
    wanted = [(name, dtype) for name in names for dtype in (dtypes if name == ONNX else ("",))]
    engines = [(name, open_engine(name, folder, manifest, replace(settings, dtype=dtype))) for name, dtype in wanted]
    return tuple((name, _opener(engine, folder, manifest)) for name, engine in engines)


def _opener(engine: Engine, folder: Path, manifest: Manifest) -> AnswererOpener:
    return lambda variant: EngineAnswerer(engine, variant, folder / manifest.variant(variant).folder)
