"""Lengths of the answers behind a baseline: the demo's own, and files that are missing or others."""

import shutil
from pathlib import Path

import pytest

from runtime.documents.baseline import read_baseline
from runtime.engines.prompts import PromptReader
from runtime.errors import DocumentError
from runtime.serving.forecasting.lengths import Lengths
from runtime.serving.forecasting.recorded_lengths import MOST, recorded_lengths
from tests.support.paths import DEMO

BASELINE = DEMO / "baseline.json"
CAPTION = "baseline.results/b16-k8.torch.float32.digits-caption.jsonl"


def test_the_first_request_of_a_task_is_expected_to_get_an_answer_like_those_of_the_baseline() -> None:
    reader = PromptReader(DEMO / "checkpoint")
    found = recorded_lengths(BASELINE, read_baseline(BASELINE), reader.token_count)
    assert len(found) == 2 * 5 * MOST
    lengths = Lengths(seen=found)
    for task in ("captioning", "digits-caption"):
        assert 6 <= lengths.expect(task, 500).mean <= lengths.expect(task, 500).high <= 12
    assert lengths.expect("counting", 500).high <= 4
    assert lengths.expect(None, 500).mean == 500.0


@pytest.mark.parametrize(("count", "tokens", "cut"), [(12, 12, True), (11, 12, False), (3, 4, False)])
def test_a_text_that_filled_its_room_had_no_token_that_ends_it_and_may_have_gone_on(
    count: int, tokens: int, cut: bool
) -> None:
    found = recorded_lengths(BASELINE, read_baseline(BASELINE), lambda text: count)
    assert {one[1:] for one in found} == {(tokens, cut)}
    expected = Lengths(seen=found).expect("counting", 500)
    assert (expected.mean, expected.high) == ((500, 500) if cut else (tokens, tokens))


def test_without_the_files_nothing_is_known_and_another_file_is_refused(tmp_path: Path) -> None:
    shutil.copy(BASELINE, tmp_path)
    path, baseline = tmp_path / BASELINE.name, read_baseline(BASELINE)
    assert recorded_lengths(path, baseline, len) == ()
    (tmp_path / CAPTION).parent.mkdir()
    shutil.copy(DEMO / CAPTION, tmp_path / CAPTION)
    assert {task for task, _, _ in recorded_lengths(path, baseline, len)} == {"captioning", "digits-caption"}
    with (tmp_path / CAPTION).open("a") as file:
        file.write("{}")
    with pytest.raises(DocumentError, match=rf"^{tmp_path / CAPTION}: not the answers that the baseline records"):
        recorded_lengths(path, baseline, len)
