"""Joint search over blocks and experts per token, against all cuts of a small made-up model, and on the demo."""

import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.running.source_model import open_source_model
from profiles.evidence.searching.costs import Costs, active_parameters, estimated_ms
from profiles.evidence.searching.joint_document import read_joint_search
from profiles.evidence.searching.joint_search import Tried, frontier, joint_search
from profiles.latency.fit.profile_points import OUTPUT_TOKENS
from profiles.reports.evidence.pictures.joint import cut_families
from runtime.documents.latency.estimator_document import read_estimator
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Layers, Workload
from tests.support.commands import trimoe
from tests.support.paths import DEMO

pytestmark = pytest.mark.usefixtures("one_thread")

BLOCKS = 6
COSTS = Costs(unit="ms", fixed=1.0, blocks=tuple({None: 4.0, 4: 2.5, 1: 1.5} for _ in range(BLOCKS)))
CHOICES = (None, 4, 1, 0)


def _all_cuts(most_removed: int) -> list[Cut]:
    found = []
    for picked in product(CHOICES, repeat=BLOCKS - 1):
        removed = tuple(block for block, k in enumerate(picked, 1) if k == 0)
        if len(removed) <= most_removed:
            found.append(Cut(removed=removed, top_k=tuple((block, k) for block, k in enumerate(picked, 1) if k)))
    return found


def _truth(seed: int) -> "dict[Cut, float]":
    """What every cut loses: sums of what changes lose, and a little more or less for each pair of removed blocks."""
    rng = random.Random(seed)
    gone = {block: rng.uniform(0.005, 0.05) for block in range(1, BLOCKS)}
    fewer = {block: rng.uniform(0.0, 0.01) for block in range(1, BLOCKS)}
    pairs = {pair: rng.gauss(0, 0.004) for pair in product(range(1, BLOCKS), repeat=2)}
    drops = {}
    for cut in _all_cuts(2):
        drop = sum(gone[block] for block in cut.removed)
        drop += sum(fewer[block] * (1 if k == 1 else 0.3) for block, k in cut.top_k)
        drops[cut] = drop + (pairs[cut.removed] if len(cut.removed) == 2 else 0.0)
    return drops


def _best_within(tried: Sequence[Tried], cost: float) -> float:
    return min(one.drop for one in tried if one.cost <= cost + 1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_it_finds_nearly_what_trying_everything_finds(seed: int) -> None:
    truth = _truth(seed)
    asked: list[Cut] = []

    def drops(cuts: Sequence[Cut]) -> list[float]:
        asked.extend(cuts)
        return [truth[cut] for cut in cuts]

    found = joint_search(drops, COSTS, most_removed=2, rounds=4, each=12)
    assert len(asked) == len(set(asked)) < len(truth) // 5
    assert all(0 not in cut.removed and 0 not in dict(cut.top_k) for cut in asked)
    every = [Tried(cut=cut, cost=COSTS.of(cut), drop=drop) for cut, drop in truth.items()]
    gaps = [_best_within(found, one.cost) - one.drop for one in frontier(every)]
    assert sum(gaps) / len(gaps) < 0.004
    assert found[0] == Tried(cut=WHOLE, cost=COSTS.of(WHOLE), drop=0.0)


def test_a_frontier_has_only_what_nothing_else_beats() -> None:
    points = [(1.0, 0.5), (2.0, 0.2), (2.0, 0.3), (3.0, 0.2), (4.0, 0.0)]
    tried = [Tried(cut=Cut(removed=(number,)), cost=cost, drop=drop) for number, (cost, drop) in enumerate(points, 1)]
    assert [(one.cost, one.drop) for one in frontier(tried)] == [(1.0, 0.5), (2.0, 0.2), (4.0, 0.0)]


def test_costs_are_the_estimators_and_the_active_parameters() -> None:
    model = open_source_model(DEMO / "checkpoint", device="cpu")
    document = read_estimator(DEMO.parent / "latency" / "demo-torch-float32.estimator.json")
    load = Workload(vision_tokens=24, text_tokens=20)
    costs = estimated_ms(Estimator(document), model.dimensions, load, (8, 4, 1))
    cut = Cut(removed=(3, 9), top_k=((5, 4),))
    request = Estimator(document).request(load, output_tokens=OUTPUT_TOKENS, widen=True)
    layers = Layers.of([8] * 13 + [4], experts=64)
    assert costs.of(cut) == pytest.approx(request.predict(layers).total_ms)
    active = active_parameters(model.staged, (8, 4, 1))
    expert = 3 * 64 * 16 / 1e6
    assert active.of(WHOLE) - active.of(Cut(top_k=((5, 4),))) == pytest.approx(4 * expert)
    assert active.of(WHOLE) - active.of(Cut(removed=(3,))) == pytest.approx(active.blocks[3][None])


def test_the_command_writes_every_cut_and_shows_the_frontier(tmp_path: Path) -> None:
    options = ("--data", "digits-mc", "--limit", "2", "--depth", "2", "--top-k", "1", "--rounds", "1", "--each", "2")
    result = trimoe("search", DEMO / "checkpoint", *options, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    found = read_joint_search(tmp_path / "joint_search.json")
    assert found.cost_unit == "million active parameters"
    assert len(found.cuts) <= 1 + 15 * 2 + 1 + 1 + 2
    blocks_only = [cut for cut in found.cuts if not cut.top_k]
    assert sorted(len(cut.removed) for cut in blocks_only) == [0, *[1] * 15, 2]
    families = {family.name: family.cuts for family in cut_families(found)}
    assert [len(cut.removed) for cut in families["blocks only"]] == [2, 1, 0]
    assert [len(cut.top_k) for cut in families["experts only"]] == [15, 0]
    assert all(cut.on_frontier for cut in families["blocks and experts"])
    assert (tmp_path / "joint_search.png").read_bytes().startswith(b"\x89PNG")
    assert b"blocks and experts" in (tmp_path / "joint_search.svg").read_bytes()
    assert found.cuts[0].removed == () == found.cuts[0].top_k
    assert f"{len(found.cuts)} cuts measured on digits-mc" in result.output
    refused = trimoe("search", DEMO / "checkpoint", *options[:2], "--top-k", "x", "--out", tmp_path)
    assert refused.exit_code == 2
