"""Answers of cut models are those of models without the blocks, for every architecture, with caches."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from exporter.architectures.find import find_architecture
from exporter.checkpoint.checkpoint import open_checkpoint
from profiles.evidence.running.answers import Answering
from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.running.source_model import load_staged
from profiles.evidence.running.staged_model import StagedModel
from runtime.engines.protocol import Prompt
from tests.support.engine_families import random_prompt
from tests.support.families import SOURCES, model_source
from tests.support.tiny_transformers import BLOCKS, masked_original, whole_model

pytestmark = pytest.mark.usefixtures("one_thread")

TOKENS = 7
ENDS = frozenset({2})
CUTS = (WHOLE, Cut(removed=(0,)), Cut(removed=(4,)), Cut(removed=(2,)), Cut(removed=(1, 3)))
FEWER = (Cut(top_k=((0, 1), (2, 1), (4, 2))), Cut(removed=(1, 3), top_k=((2, 1),)))


def _generated(architecture: str, folder: Path, cut: Cut, prompts: Sequence[Prompt]) -> list[list[int]]:
    """What transformers generates, each prompt alone, with a model that has only the kept blocks."""
    model = whole_model(architecture, folder)
    checkpoint = open_checkpoint(folder)
    named = find_architecture(checkpoint.config, file="")
    source_k = 0 if named.config.top_k_key is None else checkpoint.config[named.config.top_k_key]
    steps = cut.steps(BLOCKS)
    top_k = [source_k if k is None else k for _, k in steps] if source_k else None
    masked_original(model, [block for block, _ in steps], top_k, path=named.tensors.layers_attribute)
    rows = []
    for prompt in prompts:
        inputs = {name: torch.from_numpy(value)[None] for name, value in prompt.arrays.items()}
        found = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, eos_token_id=2, pad_token_id=0)
        new = found[0, inputs["input_ids"].shape[1] :].tolist()
        rows.append(new[: new.index(2) + 1] if 2 in new else new)
    return rows


def _prompts(architecture: str) -> list[Prompt]:
    rng = np.random.default_rng(5)
    crops, lengths = ([2, 0, 1], (26, 14, 19)) if architecture == "molmoe" else ([0, 0, 0], (9, 14, 4))
    drawn = [random_prompt(rng, tokens=tokens, crops=count) for tokens, count in zip(lengths, crops, strict=True)]
    return [Prompt(variant="", arrays={**one.arrays, "input_ids": one.arrays["input_ids"] % 90}) for one in drawn]


def _staged(folder: Path) -> StagedModel:
    return load_staged(open_checkpoint(folder), device="cpu")


@pytest.mark.parametrize("architecture", SOURCES)
def test_answers_are_those_of_a_model_without_the_blocks(architecture: str, tmp_path: Path) -> None:
    folder = model_source(architecture, tmp_path / "source")
    prompts = _prompts(architecture)
    cuts = (*CUTS, *(() if architecture in ("llama", "qwen2_moe", "qwen3_moe") else FEWER))
    how = Answering(model=_staged(folder), ends=ENDS, max_new_tokens=TOKENS)
    expected = {cut: _generated(architecture, folder, cut, prompts) for cut in cuts}
    assert how.answers(prompts, cuts) == expected
    assert how.answers(prompts, cuts, drafts=expected[WHOLE]) == expected
    assert how.answers(prompts, cuts, drafts=expected[cuts[-1]]) == expected


def test_a_top_k_of_a_dense_block_is_refused(tmp_path: Path) -> None:
    how = Answering(model=_staged(model_source("llama", tmp_path)), ends=ENDS, max_new_tokens=2)
    with pytest.raises(ValueError, match="block 2 has no experts, so it takes no top_k"):
        how.answers(_prompts("llama"), [Cut(top_k=((2, 1),))])
