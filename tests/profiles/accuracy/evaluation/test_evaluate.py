"""Evaluation: batches, answers kept through kills, the same files at the end, and baselines with everything in them."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from profiles.accuracy.answerer import SampleQuestion
from profiles.accuracy.evaluation.batches import make_batches
from profiles.accuracy.evaluation.evaluate import evaluate
from profiles.accuracy.evaluation.journal import Journal
from profiles.accuracy.evaluation.results import read_results, recorded_results
from profiles.errors import MeasurementError, MissingToolError
from profiles.journal import dump_header
from profiles.reports.sample_progress import SampleProgress
from profiles.reports.score_table import show_scores
from profiles.sample import Sample
from runtime.documents.baseline import read_baseline
from tests.support.answer_settings import ANSWER_SETTINGS
from tests.support.echo_engine import EchoEngine, SilentProgress
from tests.support.evaluations import SETTINGS, dataset, reply, request
from tests.support.paths import ROOT


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_batches_hold_every_sample_once_the_longest_first() -> None:
    requests = [
        SampleQuestion(prompt="x" * length, sample=Sample(id=str(length), question="")) for length in (3, 9, 1, 9, 5)
    ]
    assert make_batches(requests, 2) == ((1, 3), (4, 0), (2,))
    assert make_batches([], 2) == ()


def test_a_baseline_holds_everything_needed_to_measure_again(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    baseline = evaluate(request(EchoEngine(reply)), out, SilentProgress())
    assert read_baseline(out) == baseline
    (score,) = baseline.scores
    results = recorded_results(score, tmp_path)
    assert score.score == pytest.approx(sum(results.scores) / 50)
    assert score.interval.low <= score.score <= score.interval.high
    assert (score.decoding.prompt, score.decoding.batch_size, score.dataset.samples) == ("Q {question}", 8, 50)
    assert list(baseline.software) == ["echo", "processor", "python"]
    assert results.ids[:2] == ("0", "1") and results.answers[0] == reply("Q ")
    assert sorted(content(tmp_path)) == [
        "out.json",
        "out.results/b2.torch.float32.words.jsonl",
        "out.results/words.asked.jsonl",
    ]


def test_running_again_answers_nothing_and_writes_the_same(tmp_path: Path) -> None:
    evaluate(request(EchoEngine(reply)), tmp_path / "out.json", SilentProgress())
    before = content(tmp_path)
    engine = EchoEngine(reply)
    evaluate(request(engine), tmp_path / "out.json", SilentProgress())
    assert engine.batches == [] and content(tmp_path) == before


def test_answers_of_an_earlier_run_that_are_taken_are_told(tmp_path: Path) -> None:
    evaluate(request(EchoEngine(reply)), tmp_path / "out.json", SilentProgress())
    progress = SilentProgress()
    evaluate(request(EchoEngine(reply)), tmp_path / "out.json", progress)
    assert progress.told == [("b2 torch words", 50, 50), ("end",)]


def test_a_perfect_score_on_few_samples_has_an_interval_of_some_width(tmp_path: Path) -> None:
    same = tuple(replace(sample, answers=("a0",)) for sample in dataset(20).samples)
    perfect = request(EchoEngine(lambda prompt: "a0"), datasets=(replace(dataset(20), samples=same),))
    assert "100.0  [83.2, 100.0]" in show_scores(evaluate(perfect, tmp_path / "out.json", SilentProgress()), width=None)


def test_an_engine_is_told_the_batch_that_follows_and_none_that_is_answered(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluate(request(EchoEngine(reply, limit=4)), tmp_path / "out.json", SilentProgress())
    engine = EchoEngine(reply)
    evaluate(request(engine), tmp_path / "out.json", SilentProgress())
    assert (engine.batches, engine.following) == ([8, 8, 2], [8, 2, 0])


def test_the_journal_of_a_run_killed_after_its_results_were_written_is_removed(tmp_path: Path) -> None:
    evaluate(request(EchoEngine(reply)), tmp_path / "out.json", SilentProgress())
    before = content(tmp_path)
    (results,) = tmp_path.rglob("*.torch.*.jsonl")
    results.with_suffix(".part").write_bytes(b"kept answers")
    evaluate(request(EchoEngine(reply)), tmp_path / "out.json", SilentProgress())
    assert content(tmp_path) == before


@pytest.mark.parametrize("limit", range(8))
def test_interrupted_after_any_batch_the_rest_is_answered_and_the_files_are_the_same(
    tmp_path: Path, limit: int
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    evaluate(request(EchoEngine(reply)), tmp_path / "whole" / "out.json", SilentProgress())
    try:
        evaluate(request(EchoEngine(reply, limit=limit)), tmp_path / "parts" / "out.json", SilentProgress())
    except KeyboardInterrupt:
        assert limit < 7
    engine = EchoEngine(reply)
    evaluate(request(engine), tmp_path / "parts" / "out.json", SilentProgress())
    assert len(engine.batches) == max(0, 7 - limit)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


@pytest.mark.parametrize("cut", [1, 2, 20, 60])
def test_a_cut_last_line_is_answered_again(tmp_path: Path, cut: int) -> None:
    (tmp_path / "whole").mkdir()
    evaluate(request(EchoEngine(reply)), tmp_path / "whole" / "out.json", SilentProgress())
    with pytest.raises(KeyboardInterrupt):
        evaluate(request(EchoEngine(reply, limit=4)), tmp_path / "out.json", SilentProgress())
    (journal,) = tmp_path.rglob("*.part")
    with journal.open("r+b") as stream:
        stream.truncate(journal.stat().st_size - cut)
    engine = EchoEngine(reply)
    evaluate(request(engine), tmp_path / "out.json", SilentProgress())
    assert len(engine.batches) == 4
    assert (tmp_path / "out.json").read_bytes() == (tmp_path / "whole" / "out.json").read_bytes()


def test_a_journal_cut_inside_its_first_line_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    path.write_bytes(b'{"settings":{"a"')
    with Journal(path, ANSWER_SETTINGS) as journal:
        assert journal.answers == {}
        journal.add([1, 0], ["b", "a"])
    with Journal(path, ANSWER_SETTINGS) as journal:
        assert journal.answers == {0: "a", 1: "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            dump_header(structs.replace(ANSWER_SETTINGS, dtype="int8")),
            r"a.part: holds answers made with another dtype \('int8', now 'float32'\); remove it or give another --out",
        ),
        (b"[]\n", "a.part: line 1: not the settings of an evaluation"),
        (
            dump_header(ANSWER_SETTINGS).replace(b'"engine":"torch"', b'"engine":1'),
            r"line 1: not the settings of an .*a.part: line 1: settings.engine: expected a string, found the number 1",
        ),
        (dump_header(ANSWER_SETTINGS) + b'{"places":[1]}\n{"places":[0],"answers":["x"]}\n', "a.part: line 2: damaged"),
    ],
)
def test_a_journal_of_other_settings_or_a_damaged_one_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "a.part").write_bytes(text)
    with pytest.raises(MeasurementError, match=message), Journal(tmp_path / "a.part", ANSWER_SETTINGS):
        pass


def test_two_evaluations_cannot_write_one_journal(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "a.part", ANSWER_SETTINGS),
        pytest.raises(MeasurementError, match="another evaluation is writing it"),
        Journal(tmp_path / "a.part", ANSWER_SETTINGS),
    ):
        pass


def test_results_of_other_settings_are_not_taken(tmp_path: Path) -> None:
    evaluate(request(EchoEngine(reply)), tmp_path / "out.json", SilentProgress())
    with pytest.raises(MeasurementError, match=r"words.jsonl: holds answers made with another software .*'2'"):
        evaluate(request(EchoEngine(reply, version="2")), tmp_path / "out.json", SilentProgress())
    with pytest.raises(MeasurementError, match="made with another decoding"):
        evaluate(request(EchoEngine(reply), size=16), tmp_path / "out.json", SilentProgress())


def test_changed_results_are_noticed(tmp_path: Path) -> None:
    baseline = evaluate(request(EchoEngine(reply)), tmp_path / "out.json", SilentProgress())
    (path,) = tmp_path.rglob("*.torch.*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"score":1.0', b'"score":0.0', 1))
    with pytest.raises(MeasurementError, match="not the file that the baseline records"):
        recorded_results(baseline.scores[0], tmp_path)
    path.write_bytes(b'{"settings":{}}\n{"id":"1","answer":"a","score":1}\n{"id":"1"}\n')
    with pytest.raises(MeasurementError, match='not a file of results: line 3: the key "answer" is missing'):
        read_results(path)
    path.unlink()
    with pytest.raises(MeasurementError, match="missing; a paired comparison needs the results of each sample"):
        recorded_results(baseline.scores[0], tmp_path)


def test_a_missing_tokenizer_is_known_before_the_first_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from profiles.metrics.normalisation import ptb

    monkeypatch.setattr(ptb.shutil, "which", lambda name: None)
    engine = EchoEngine(reply)
    captions = replace(
        dataset(),
        samples=(Sample(id="1", question="?", references=("a dog",)),),
        settings=replace(SETTINGS, metric="cider/pycocoevalcap"),
    )
    with pytest.raises(MissingToolError, match="no `java` is on the PATH"):
        evaluate(request(engine, datasets=(captions,)), tmp_path / "out.json", SilentProgress())
    assert engine.batches == []


def test_progress_tells_what_is_kept_and_what_is_answered(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluate(request(EchoEngine(reply, limit=2)), tmp_path / "out.json", SilentProgress())
    progress = SilentProgress()
    evaluate(request(EchoEngine(reply)), tmp_path / "out.json", progress)
    assert progress.told[0] == ("b2 torch words", 50, 16)
    assert sum(told[1] for told in progress.told if told[0] == "advance") == 34


def test_progress_shows_rate_and_time_left() -> None:
    now = [0.0]
    stream = io.StringIO()
    progress = SampleProgress(stream, clock=lambda: now[0])
    progress.begin("b2 torch words", 100, 20)
    now[0] = 20.0
    progress.advance(40)
    now[0] = 40.0
    progress.advance(40)
    progress.end()
    first, *_, last = stream.getvalue().splitlines()
    assert first == "b2 torch words: 60 of 100, 20 kept, 2.0 samples/s, 20 s left"
    assert last == "b2 torch words: 100 of 100, 20 kept, 2.0 samples/s, 40 s"


def test_the_table_keeps_task_types_apart_and_fits_eighty_columns(tmp_path: Path) -> None:
    other = replace(dataset(name="coco-2014-vqa"), settings=replace(SETTINGS, task="counting"))
    baseline = evaluate(
        request(EchoEngine(lambda prompt: "a0"), datasets=(dataset(), other)), tmp_path / "out.json", SilentProgress()
    )
    text = show_scores(baseline, width=80)
    assert [line for line in text.splitlines() if not line.startswith(" ")] == ["vqa", "counting"]
    assert text.splitlines()[:3] == [
        "  variant  engine  dtype    data set       score  interval      samples",
        "vqa",
        "  b2       torch   float32  words           34.0  [22.0, 48.0]       50",
    ]
    narrow = show_scores(baseline, width=50).splitlines()
    assert max(map(len, narrow)) <= 50
    assert narrow[:2] == ["vqa", "  b2"]


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from profiles.accuracy.evaluation.evaluate import evaluate
from tests.support.echo_engine import EchoEngine, SilentProgress
from tests.support.evaluations import reply, request
def slow(prompt):
    time.sleep(0.001)
    return reply(prompt)
print("ready", flush=True)
evaluate(request(EchoEngine(slow), size=2), Path({out!r}), SilentProgress())
"""


def test_killed_ten_times_at_random_moments_it_ends_with_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    evaluate(request(EchoEngine(reply), size=2), tmp_path / "whole" / "out.json", SilentProgress())
    code = KILLED.format(tests=str(ROOT), out=str(tmp_path / "killed" / "out.json"))
    rng = random.Random(1)
    kills = 0
    for _ in range(10):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=dict(os.environ))
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.0, 0.04))
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 3
    evaluate(request(EchoEngine(reply), size=2), tmp_path / "killed" / "out.json", SilentProgress())
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_json_lines_of_results_are_plain_json(tmp_path: Path) -> None:
    evaluate(request(EchoEngine(lambda prompt: "é\n")), tmp_path / "out.json", SilentProgress())
    (path,) = tmp_path.rglob("*.torch.*.jsonl")
    header, first, *_ = (json.loads(line) for line in path.read_text("ascii").splitlines())
    assert header["settings"]["variant"] == "b2"
    assert first == {"id": "0", "answer": "é\n", "score": 0.0}


def test_a_file_that_is_no_baseline_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"question": "mine"}\n')
    with pytest.raises(
        MeasurementError, match=r"mine\.jsonl: is no baseline and would be overwritten; give another --out"
    ):
        evaluate(request(EchoEngine(reply)), tmp_path / "mine.jsonl", SilentProgress())
    assert (tmp_path / "mine.jsonl").read_text() == '{"question": "mine"}\n'


def test_scores_that_a_run_does_not_repeat_are_not_dropped(tmp_path: Path) -> None:
    evaluate(request(EchoEngine(reply), variants=("b2", "b1")), tmp_path / "out.json", SilentProgress())
    with pytest.raises(
        MeasurementError, match="holds 1 scores that this run does not measure again, first b1 with torch on words"
    ):
        evaluate(request(EchoEngine(reply)), tmp_path / "out.json", SilentProgress())
    more = (dataset(), dataset(name="others"))
    baseline = evaluate(
        request(EchoEngine(reply), variants=("b2", "b1"), datasets=more), tmp_path / "out.json", SilentProgress()
    )
    assert len(baseline.scores) == 4


def test_a_name_that_the_folder_of_answers_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"x.results: not a name for a baseline"):
        evaluate(request(EchoEngine(reply)), tmp_path / "x.results", SilentProgress())
