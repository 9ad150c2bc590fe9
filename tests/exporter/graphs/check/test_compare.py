"""Judging a graph's answer: what agrees, what experts that tie excuse, and what they do not."""

from dataclasses import replace

import numpy as np
import pytest

from exporter.graphs.check.compare import compare_answers, compare_served
from exporter.graphs.check.graph_run import Answer, Inside
from runtime.errors import VerificationError

ROWS, LENGTH, TOKENS, VOCABULARY, EXPERTS, LAYERS = 2, 6, 4, 9, 5, 2
LENGTHS = np.asarray([LENGTH, LENGTH])
WHOLE = LENGTH + TOKENS


Case = tuple[Answer, Inside, np.ndarray, list[np.ndarray]]


def agreeing() -> Case:
    """An answer and what goes on inside, and the reference's logits and experts (two a token), which agree with it."""
    random = np.random.default_rng(0)
    logits = random.standard_normal((ROWS, WHOLE, VOCABULARY)).astype(np.float32)
    scores = random.permuted(
        np.arange(LAYERS * ROWS * WHOLE * EXPERTS, dtype=np.float32).reshape(LAYERS, ROWS, WHOLE, EXPERTS), axis=-1
    )
    answer = Answer(logits=logits[:, :LENGTH], decoded=logits[:, LENGTH:])
    inside = Inside(hidden=np.zeros(0), scores=tuple(scores))
    return answer, inside, logits.copy(), [np.argsort(-layer, -1)[..., :2] for layer in scores]


def tied(inside: Inside, *, layer: int, row: int, position: int) -> Inside:
    """The scores with the second and the third expert of a token at the same one."""
    scores = [one.copy() for one in inside.scores]
    token = scores[layer][row, position]
    order = np.argsort(-token)
    token[order[2]] = token[order[1]]
    return replace(inside, scores=tuple(scores))


def compare(answer: Answer, inside: Inside, logits: np.ndarray, experts: list[np.ndarray]) -> dict[str, str]:
    return compare_answers("variant b4-k2", answer, inside, logits, experts, LENGTHS)


def test_an_equal_answer_passes_and_nothing_is_left_out() -> None:
    details = compare(*agreeing())
    assert "left out" not in details["logits"]
    assert details["greedy"] == f"the same {1 + TOKENS} tokens as transformers for each row"
    assert details["experts"] == f"the same experts for {ROWS * WHOLE * LAYERS} tokens at {LAYERS} layers"


@pytest.mark.parametrize("position", [0, 2, LENGTH - 1, LENGTH + 1])
def test_a_difference_without_a_tie_is_an_error_that_names_row_and_position(position: int) -> None:
    answer, inside, logits, experts = agreeing()
    logits[1, position] += 0.1
    with pytest.raises(
        VerificationError,
        match=rf"(prompt|decoding), row 1: max \|Δ\| of the logits 0.1, allowed .*, at position {position}",
    ):
        compare(answer, inside, logits, experts)


def test_a_tie_excuses_what_comes_behind_it_in_its_row() -> None:
    answer, inside, logits, experts = agreeing()
    logits[1, 5:] += 0.1
    details = compare(answer, tied(inside, layer=0, row=1, position=3), logits, experts)
    assert f"{WHOLE - 5} left out" in details["logits"]
    assert details["greedy"].endswith(f"{1 + TOKENS} of {2 * (1 + TOKENS)} compared")


def test_a_tie_excuses_nothing_before_it_and_nothing_in_another_row() -> None:
    answer, inside, logits, experts = agreeing()
    for row, position in ((1, 2), (0, 5)):
        other = logits.copy()
        other[row, position] += 0.1
        with pytest.raises(VerificationError, match=f"row {row}"):
            compare(answer, tied(inside, layer=0, row=1, position=3), other, experts)


def test_ties_do_not_excuse_most_of_an_answer() -> None:
    answer, inside, logits, experts = agreeing()
    for row in range(ROWS):
        inside = tied(inside, layer=0, row=row, position=0)
    with pytest.raises(
        VerificationError, match=f"at {ROWS * WHOLE} of {ROWS * WHOLE} tokens: more than experts that tie explain"
    ):
        compare(answer, inside, logits + 0.1, experts)


def test_logits_that_are_no_numbers_are_an_error() -> None:
    answer, inside, logits, experts = agreeing()
    logits[0, 1, 0] = np.nan
    with pytest.raises(VerificationError):
        compare(answer, inside, logits, experts)


def test_other_experts_are_excused_behind_a_tie_of_an_earlier_layer_only() -> None:
    answer, inside, logits, experts = agreeing()
    inside = tied(inside, layer=0, row=0, position=2)
    order = np.argsort(-agreeing()[1].scores[0][0, 2])
    experts[0][0, 2] = [order[0], max(order[1], order[2])]  # of equal scores the graph takes the lower expert
    experts[1][0, 4] = (experts[1][0, 4] + 1) % EXPERTS
    assert "1 of them ties, 1 changed by those" in compare(answer, inside, logits, experts)["experts"]
    experts[1][0, 1] = (experts[1][0, 1] + 1) % EXPERTS
    with pytest.raises(VerificationError, match="layer 1: token 1 of row 0 goes to experts"):
        compare(answer, inside, logits, experts)


def test_what_is_served_may_be_off_by_rounded_activations_and_the_check_says_by_how_much() -> None:
    exact, *_ = agreeing()
    check = compare_served("b4-k2", "int8", exact, replace(exact, logits=exact.logits * np.float32(1.02)), LENGTHS)
    assert check.name == "onnx int8 served"
    assert "logits 0.02 of their size (RMS) from those without" in check.detail
    assert "the same first choice at 100.0% of the prompts' tokens" in check.detail


def test_a_kernel_that_computes_something_else_is_no_rounding() -> None:
    exact, *_ = agreeing()
    for factor in (1.2, np.nan):
        with pytest.raises(
            VerificationError, match=r"b4-k2 \(int8\): served with activations of 8 bits, .* allowed 0\.1$"
        ):
            compare_served("b4-k2", "int8", exact, replace(exact, logits=exact.logits * np.float32(factor)), LENGTHS)
