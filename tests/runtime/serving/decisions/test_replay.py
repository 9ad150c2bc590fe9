"""Replay: other policies, estimators and families on the same requests."""

import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from profiles.benchmarks.made_up_family import made_up_baseline, made_up_estimator
from runtime.errors import DocumentError, RequestError
from runtime.latency.estimator import Estimator
from runtime.serving.decisions.log import DecisionLog
from runtime.serving.decisions.replay import ReplayRequest, replay
from runtime.serving.decisions.replay_report import replay_document, replay_table
from runtime.serving.decisions.totals import Totals
from tests.support.decision_logs import MANIFEST, decisions, header, write_log

SOME = decisions(60)
ESTIMATOR = Estimator(made_up_estimator(random.Random(0)))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "log", SOME)


def request(*policies: str, **more: object) -> ReplayRequest:
    return ReplayRequest(manifest=MANIFEST, policies=policies, **more)


def by_name(found: tuple[Totals, ...]) -> dict[str, Totals]:
    return {one.policy: one for one in found}


def test_the_same_policy_on_the_same_predictions_chooses_the_same(log: Path) -> None:
    logged, ours = replay([log], request("choice"))
    assert ours.variants == logged.variants
    assert ours.refused == logged.refused == sum(one.refused is not None for one in SOME)
    assert ours.accuracy == pytest.approx(logged.accuracy)
    assert logged.mean_ms == pytest.approx(1.05 * (ours.mean_ms or 0), rel=1e-3)
    assert ours.surely_in_budget == ours.requests - ours.refused


def test_requests_that_were_shed_or_failed_count_as_refused_as_logged(tmp_path: Path) -> None:
    answered = [one for one in SOME if one.outcome is not None]
    lost = [replace(one, outcome=None) for one in answered[:7]]
    logged, ours = replay([write_log(tmp_path / "lost", [*lost, *answered[7:]])], request("choice"))
    assert (logged.requests, logged.refused, ours.refused) == (len(answered), 7, 0)
    assert sum(logged.variants.values()) == len(answered) - 7
    assert logged.budgets == len(answered) and logged.in_budget <= len(answered) - 7


def test_predicting_again_from_the_same_estimator_gives_the_same(log: Path) -> None:
    again = request("choice", estimators=(ESTIMATOR,), baseline=made_up_baseline(MANIFEST))
    assert replay([log], again)[1].variants == replay([log], request("choice"))[1].variants


def test_other_policies_always_answer(log: Path) -> None:
    found = by_name(replay([log], request("choice", "largest", "quickest", "fixed:b12-k4", "fixed:b12-k4/float32")))
    assert found["largest"].variants == {"b16-k8/float32": 60}
    assert found["fixed:b12-k4"].variants == found["fixed:b12-k4/float32"].variants == {"b12-k4/float32": 60}
    assert found["quickest"].refused == 0
    assert (found["quickest"].accuracy or 0) < (found["choice"].accuracy or 0) < (found["largest"].accuracy or 0)
    assert found["quickest"].in_budget > found["largest"].in_budget


def test_a_slower_machine_keeps_fewer_budgets(log: Path) -> None:
    document = ESTIMATOR.document
    terms = [tuple(replace(term, ms=5 * term.ms) for term in one.terms) for one in document.stages]
    stages = tuple(replace(one, terms=slow) for one, slow in zip(document.stages, terms, strict=True))
    slow = Estimator(replace(document, stages=stages))
    before, after = (
        replay([log], request("largest", estimators=(one,), baseline=made_up_baseline(MANIFEST)))[1]
        for one in (ESTIMATOR, slow)
    )
    assert after.in_budget < before.in_budget
    assert (after.mean_ms or 0) > 4 * (before.mean_ms or 0)


def test_logged_predictions_meet_the_accuracies_of_a_baseline(log: Path) -> None:
    baseline = made_up_baseline(MANIFEST)
    worse = replace(baseline, scores=tuple(replace(one, score=one.score / 2) for one in baseline.scores))
    scores = [replay([log], request("largest", baseline=one))[1].accuracy or 0 for one in (baseline, worse)]
    assert scores[1] == pytest.approx(scores[0] / 2, rel=0.01)


def test_answers_that_clients_ended_at_texts_of_their_own_teach_no_length(tmp_path: Path) -> None:
    found = []
    for stop_texts in (0, 1):
        one = DecisionLog(tmp_path / str(stop_texts), header())
        for decision in decisions(60):
            one.write(replace(decision, stop_texts=stop_texts))
        one.close()
        asked = request("largest", estimators=(ESTIMATOR,), quantile=1.0)
        found.append(replay([tmp_path / str(stop_texts)], asked)[1].mean_ms or 0)
    assert found[0] < found[1]


def test_lengths_may_be_learned_anew(log: Path) -> None:
    found = [
        replay([log], request("largest", estimators=(ESTIMATOR,), quantile=quantile))[1].surely_in_budget or 0
        for quantile in (0.1, 1.0)
    ]
    assert found[0] > found[1]


def test_another_family_needs_an_estimator_and_may_lack_variants(log: Path) -> None:
    other = replace(MANIFEST, variants=MANIFEST.variants[:20])
    assert {one.id for one in MANIFEST.variants[20:]} >= {"b16-k8"}  # which the queues hold
    with pytest.raises(DocumentError, match=r"the log is of the family bench .*: its times were not predicted"):
        replay([log], ReplayRequest(manifest=other, policies=("choice",)))
    found = replay([log], ReplayRequest(manifest=other, policies=("choice",), estimators=(ESTIMATOR,)))
    assert set(found[1].variants) <= {f"{one.id}/float32" for one in other.variants}


def test_policies_and_tasks_are_known_ones(log: Path) -> None:
    with pytest.raises(DocumentError, match="no policy 'best'; there are choice, largest, quickest or fixed:VARIANT"):
        replay([log], request("best"))
    with pytest.raises(DocumentError, match="no candidate 'b1-k1' for the policy fixed:; there are b9-k8/float32"):
        replay([log], request("fixed:b1-k1"))
    baseline = made_up_baseline(MANIFEST)
    renamed = tuple(replace(one, dataset=replace(one.dataset, task="reading")) for one in baseline.scores)
    with pytest.raises(RequestError, match="no task 'vqa' in the baseline; it has reading, data"):
        replay([log], request("choice", baseline=replace(baseline, scores=renamed)))


def test_logs_of_different_families_are_not_mixed(log: Path, tmp_path: Path) -> None:
    other = DecisionLog(tmp_path / "other", replace(header(), digest="1" * 64))
    other.close()
    with pytest.raises(DocumentError, match=r"other: of the family bench 111111111111 with onnx; .*replay them one by"):
        replay([log, tmp_path / "other"], request("choice"))


def test_the_table_fits_80_columns_and_the_document_has_every_count(log: Path) -> None:
    found = replay([log], request("choice", "largest", "fixed:b12-k4"))
    lines = replay_table(found, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == [
        "policy",
        "refused",
        "kept",
        "%",
        "surely",
        "%",
        "accuracy",
        *["mean", "ms", "p95", "ms", "most", "chosen"],
    ]
    assert lines[1].startswith("as logged") and lines[4].startswith("fixed:b12-k4")
    assert '"policy": "as logged"' in replay_document(found)
