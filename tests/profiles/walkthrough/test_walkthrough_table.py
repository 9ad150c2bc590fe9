"""The table of the demo."""

from profiles.walkthrough.budgets import Asked
from profiles.walkthrough.table import show_asked
from runtime.serving.answer import STOP, Answer, Timing


def asked(*, budget_ms: float | None, took_ms: float, right: bool = True) -> Asked:
    timing = Timing(queue_ms=0.0, first_token_ms=5.0, total_ms=took_ms, stages={})
    answer = Answer(
        text=" 7",
        tokens=(1,),
        reason=STOP,
        variant="b14-k4",
        dtype="float32",
        prompt_tokens=9,
        predicted_ms=8.04,
        upper_ms=9.0,
        best_effort=False,
        timing=timing,
    )
    return Asked(level="tight", dataset="digits-vqa", budget_ms=budget_ms, answer=answer, right=right)


def test_an_answer_after_its_budget_is_late() -> None:
    shown = show_asked([asked(budget_ms=9.0, took_ms=9.4), asked(budget_ms=None, took_ms=9.4)], width=80)
    late, unlimited = (line.split() for line in shown.splitlines() if "digits-vqa" in line)
    assert late == ["digits-vqa", "9.0", "b14-k4", "8.0", "9.4", "late", "7", "right"]
    assert unlimited == ["digits-vqa", "b14-k4", "8.0", "9.4", "7", "right"]


def test_the_last_refusal_is_told_below() -> None:
    refused = [Asked(level="none", dataset="a", budget_ms=1.0, answer=None, refused=text) for text in ("x", "y")]
    shown = show_asked([asked(budget_ms=None, took_ms=1.0, right=False), *refused], width=80)
    assert shown.splitlines()[-1] == "Refused: y."
    assert "wrong" in shown
