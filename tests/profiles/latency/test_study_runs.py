"""The study's files of runs, with their meanings: block 0 at 8, counts that include it, milliseconds."""

import json
from pathlib import Path
from typing import Any

import pytest

from profiles.latency.fit.study_runs import is_study_runs, read_study_runs
from runtime.documents.checked_json import read_document
from runtime.engines.stages import DECODE, PREFILL, VISION
from runtime.errors import DocumentError

SAMPLE: dict[str, Any] = {
    "actual_vision_tokens": 576,
    "actual_text_tokens": 24,
    "output_tokens": 11,
    "tier": "medium",
    "top_k": 6,
    "num_active_blocks": 14,
    "T_vision_total": 21.5,
    "T_LLM_prefill": 80.0,
    "T_LLM_decode": 150.0,
    "T_decode_per_token": 15.0,
}


def write(folder: Path, *samples: dict[str, Any]) -> Path:
    path = folder / "runs.json"
    path.write_text(json.dumps({"per_sample_results": list(samples)}))
    return path


def test_a_sample_is_three_stages_of_a_variant(tmp_path: Path) -> None:
    node = read_document(write(tmp_path, SAMPLE))
    assert is_study_runs(node)
    found = {one.stage: one for one in read_study_runs(node, experts=64)}
    assert {stage: one.ms for stage, one in found.items()} == {VISION: 21.5, PREFILL: 80.0, DECODE: 15.0}
    assert found[DECODE].layers.counts == ((6, 13), (8, 1))
    assert (found[DECODE].steps, found[DECODE].position) == (10, 600 + 4.5)
    assert found[PREFILL].variant == "b14-k6"
    assert found[PREFILL].load.prompt_tokens == 600


def test_without_an_image_or_further_tokens_there_is_prefill_alone(tmp_path: Path) -> None:
    sample = SAMPLE | {"actual_vision_tokens": 0, "output_tokens": 1, "T_vision_total": 0, "T_decode_per_token": 0}
    (found,) = read_study_runs(read_document(write(tmp_path, sample)), experts=64)
    assert found.stage == PREFILL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top_k": 65}, r"runs.json: per_sample_results\[1\].top_k: 65 is above"),
        ({"T_LLM_prefill": -1}, r"per_sample_results\[1\].T_LLM_prefill: -1 is no time"),
        ({"T_LLM_prefill": "80"}, r"T_LLM_prefill: expected a number"),
        ({"num_active_blocks": 0}, r"num_active_blocks: 0 is below"),
        ({"actual_text_tokens": None}, r"actual_text_tokens: expected an integer"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, SAMPLE, SAMPLE | change)
    with pytest.raises(DocumentError, match=message):
        read_study_runs(read_document(path), experts=64)
