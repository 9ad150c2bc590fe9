"""The parts of a benchmark that need no model: grids, designs, samples and their journal, the order of visits."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from profiles.errors import MeasurementError
from profiles.journal import Journal, dump_header, dump_line
from profiles.latency.bench.bench import VISITS, VisitSettings
from profiles.latency.bench.design import rank
from profiles.latency.bench.grid import TEXT_GRID, Cell, Grid, cells, default_grid, image_sizes, parse_grid
from profiles.latency.bench.meters import Reading
from profiles.latency.bench.run import Limits, Run, check_spread, settled
from profiles.latency.bench.samples import Visit, relative_error, summarise, undisturbed
from profiles.latency.bench.stage_times import StageTimes
from profiles.latency.fit.estimator import Subject, fit_estimator
from runtime.documents.schema import fields_of
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Workload
from runtime.modeling.image_processing_trimoe_molmoe import TrimoeMolmoeImageProcessor
from tests.support.simulated_machine import STEPS, Machine, layers_of, observe

CELLS = cells(("b16-k8", "b12-k2"), Grid(batches=(1, 2), images=(None, (32, 16)), text_tokens=(8, 64)))


def test_a_grid_is_every_combination() -> None:
    assert len(CELLS) == 2 * 2 * 2 * 2
    assert CELLS[0].name == "b16-k8/1/none/8"
    assert CELLS[-1].name == "b12-k2/2/32x16/64"


def test_a_grid_is_read_with_the_defaults_of_what_is_left_out() -> None:
    found = parse_grid("batch=1,8 image=none,64x32", TEXT_GRID)
    assert found == Grid(batches=(1, 8), images=(None, (64, 32)), text_tokens=TEXT_GRID.text_tokens)
    assert parse_grid("", TEXT_GRID) == TEXT_GRID
    assert parse_grid("batch=2,2", TEXT_GRID).batches == (2,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch=0", "batch=0: expected a number of at least 1"),
        ("text=3", "text=3: expected a number of at least 4"),
        ("batch=1,,2", "batch=: expected a number"),
        ("image=32", "image=32: expected none or WIDTHxHEIGHT"),
        ("length=4", "'length=4' is none of batch="),
        ("batch=1 batch=2", "'batch=2' is none of batch="),
        ("text=" + "9" * 5000, "expected a number of at least 4"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(MeasurementError, match=message):
        parse_grid(text, TEXT_GRID)


def test_the_most_telling_cells_teach_more_than_the_first_ones() -> None:
    shapes = [(depth, k) for depth in (12, 14, 16) for k in (8, 4, 2)]
    loads = [
        Workload(batch=batch, vision_tokens=vision, text_tokens=text)
        for batch in (1, 4)
        for vision in (0, 720)
        for text in (16, 64, 256)
    ]
    pairs = [(shape, load) for shape in shapes for load in loads]
    order = rank([(layers_of(*shape), load) for shape, load in pairs])
    assert sorted(order) == list(range(len(pairs)))
    machine, errors = Machine(), []
    for chosen in (order[:14], range(14)):
        observed = [o for i in chosen for o in observe(machine, [pairs[i][0]], [pairs[i][1]], seed=i)]
        subject = Subject(device="s", engine="e", dtype="d", experts=64, sources=())
        estimator = Estimator(fit_estimator(observed, subject, level=0.9))
        found = 0.0
        for (depth, k), load in pairs:
            true = machine.ms("prefill", layers_of(depth, k), load, 0.0)
            true += (STEPS - 1) * machine.ms("decode", layers_of(depth, k), load, load.prompt_tokens + STEPS / 2 - 1)
            guess = estimator.stage_ms("prefill", layers_of(depth, k), load)
            guess += (STEPS - 1) * estimator.stage_ms(
                "decode", layers_of(depth, k), load, position=load.prompt_tokens + STEPS / 2 - 1
            )
            found += abs(guess / true - 1) / len(pairs)
        errors.append(found)
    assert errors[0] < 0.06
    assert errors[0] < errors[1] / 2


def test_summaries_keep_and_count_outliers() -> None:
    found = summarise([10.0, 10.1, 9.9, 10.0, 10.2, 9.8, 30.0])
    assert (found.median, found.count, found.outliers) == (10.0, 7, 1)
    assert found.p95 > 20
    assert summarise([1.0, 1.0, 2.0, 2.0]).drift == 1.0
    assert relative_error([1.0, 1.0]) == math.inf
    assert relative_error([1.0] * 5) == 0


def visit(cell: Cell, second: float, ms: float = 1.0, *, waited: float | None = None) -> Visit:
    return Visit(
        cell=cell.name,
        taken="2026-11-21T17:00:00+00:00",
        second=second,
        vision_tokens=0,
        text_tokens=8,
        stages={"prefill": ms},
        decoded=((8.0, ms),),
        reading=Reading(clock_mhz=None, peak_memory_bytes=None, energy_j=None),
        waited=waited,
    )


class Clock:
    """Makes visits whose times follow a list, and counts them."""

    def __init__(self, times: dict[str, list[float]] | None = None) -> None:
        self.count, self.seen, self.times = 0, Counter[str](), times or {}

    def __call__(self, cell: Cell) -> Visit:
        self.count += 1
        self.seen[cell.name] += 1
        values = self.times.get(cell.name, [1.0])
        return visit(cell, float(self.count), values[(self.seen[cell.name] - 1) % len(values)])


class Quiet:
    def visited(self, *, visits: int, settled: int, cells: int, second: float) -> None:
        pass


SETTINGS = VisitSettings(
    trimoe="0.1.0",
    family="f",
    form="onnx-float32",
    device="cpu",
    machine="m",
    threads=2,
    grid=("1/none/8",),
    variants=("b16-k8",),
    software={"onnxruntime": "1"},
)


def opened(folder: Path, **settings: Any) -> Journal[Visit]:
    return Journal(folder / "journal", structs.replace(SETTINGS, **settings), VISITS)


def run(measure: Any, journal: Journal[Visit], limits: Limits, *, budget_s: float | None = None) -> None:
    Run(cells=CELLS, measure=measure, journal=journal, limits=limits, budget_s=budget_s).go(Quiet())


def test_cells_are_visited_in_changing_order_until_they_are_known(tmp_path: Path) -> None:
    clock = Clock({CELLS[0].name: [1.0, 2.0]})
    with opened(tmp_path) as journal:
        run(clock, journal, Limits(least=3, most=6))
    assert clock.seen[CELLS[0].name] == 7  # one to warm up, six that are kept
    assert all(clock.seen[cell.name] == 4 for cell in CELLS[1:])
    order = [one.cell for one in journal.rows]
    assert order[: len(CELLS)] != order[len(CELLS) : 2 * len(CELLS)]
    assert set(order[: len(CELLS)]) == {cell.name for cell in CELLS}


def test_a_run_out_of_time_still_visits_each_cell_a_few_times(tmp_path: Path) -> None:
    clock = Clock({cell.name: [1.0, 2.0] for cell in CELLS})
    with opened(tmp_path) as journal:
        run(clock, journal, Limits(least=3, most=30), budget_s=5.0)
    assert Counter(one.cell for one in journal.rows) == dict.fromkeys((cell.name for cell in CELLS), 3)


def test_with_a_budget_the_most_telling_cells_come_first_and_more_follow_while_there_is_time(tmp_path: Path) -> None:
    many = cells(tuple(f"v{number}" for number in range(20)), Grid(batches=(1,), images=(None,), text_tokens=(8, 64)))
    for budget_s, expected in ((1.0, 24), (150.0, 32), (1e9, 40)):
        clock = Clock()
        with Journal(tmp_path / f"{expected}", SETTINGS, VISITS) as journal:
            Run(cells=many, measure=clock, journal=journal, limits=Limits(least=3, most=6), budget_s=budget_s).go(
                Quiet()
            )
        assert set(clock.seen) == {cell.name for cell in many[:expected]}


def test_visits_of_a_cell_are_spread_over_the_run(tmp_path: Path) -> None:
    many = cells(tuple(f"v{number}" for number in range(40)), Grid(batches=(1,), images=(None,), text_tokens=(8,)))
    with opened(tmp_path) as journal:
        Run(cells=many, measure=Clock(), journal=journal, limits=Limits(least=3, most=6), budget_s=1e9).go(Quiet())
    order = [one.cell for one in journal.rows]
    for cell in many[:24]:
        places = [place for place, name in enumerate(order) if name == cell.name]
        assert len(places) == 3 and places[1] - places[0] > 4


def test_visits_that_other_programs_disturbed_are_repeated_and_left_out(tmp_path: Path) -> None:
    def measure(cell: Cell) -> Visit:
        found = clock(cell)
        spoilt = cell == CELLS[0] and clock.seen[cell.name] % 2 == 0
        return visit(cell, found.second, 9.0 if spoilt else 1.0, waited=0.5 if spoilt else 0.001)

    clock = Clock()
    with opened(tmp_path) as journal:
        run(measure, journal, Limits(least=3, most=20))
    assert clock.seen[CELLS[0].name] == 1 + 6  # the first warms up; three are disturbed
    mine = [one for one in journal.rows if one.cell == CELLS[0].name]
    assert {ms for one in undisturbed(mine, 3) for ms in one.stages.values()} == {1.0}
    assert undisturbed(mine, 4) == mine


def test_a_busy_machine_is_not_waited_for_without_end(tmp_path: Path) -> None:
    clock, counted = Clock(), Counter[str]()

    def measure(cell: Cell) -> Visit:
        counted[cell.name] += 1
        return visit(cell, float(clock(cell).second), waited=0.5)

    with opened(tmp_path) as journal:
        run(measure, journal, Limits(least=3, most=8))
    assert set(counted.values()) == {9}
    counted.clear()
    with Journal(tmp_path / "other", SETTINGS, VISITS) as journal:
        run(measure, journal, Limits(least=3, most=8), budget_s=1.0)
    assert set(counted.values()) == {7}


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    clock, limits = Clock(), Limits(least=3, most=6)

    def failing(cell: Cell) -> Visit:
        if clock.count > 20:
            raise Killed
        return clock(cell)

    with pytest.raises(Killed), opened(tmp_path) as journal:
        run(failing, journal, limits)
    with (tmp_path / "journal").open("ab") as file:
        file.write(b'{"cell":"b16')  # what a kill leaves of a line
    with opened(tmp_path) as journal:
        before = list(journal.rows)
        run(Clock(), journal, limits)
    assert before and journal.rows[: len(before)] == before
    with opened(tmp_path) as again:
        assert again.rows == journal.rows
    assert all(settled([one for one in again.rows if one.cell == cell.name], limits) for cell in CELLS)


def test_a_journal_cut_anywhere_keeps_every_whole_line(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        for second in range(3):
            journal.add(visit(CELLS[second], float(second)))
        rows = list(journal.rows)
    whole = (tmp_path / "journal").read_bytes()
    for end in range(0, len(whole) + 1, 7):
        (tmp_path / "journal").write_bytes(whole[:end])
        with opened(tmp_path) as again:
            lines = whole[:end].count(b"\n")
            assert again.rows == rows[: max(0, lines - 1)]
            again.add(rows[0])
        with opened(tmp_path) as again:
            assert again.rows[-1] == rows[0]


def test_a_journal_of_other_settings_or_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with opened(tmp_path), pytest.raises(MeasurementError, match="another benchmark is writing it"), opened(tmp_path):
        pass
    with pytest.raises(MeasurementError, match=r"journal: holds times made with another threads \(2, now 4\); remove"):
        opened(tmp_path, threads=4).__enter__()
    path.write_text("mine\n")
    with pytest.raises(MeasurementError, match="journal: line 1: not the settings of a benchmark"):
        opened(tmp_path).__enter__()
    assert path.read_text() == "mine\n"
    for row in (b'{"cell":1}\n', dump_line({**fields_of(visit(CELLS[0], 1.0)), "text_tokens": -1}), b"\xff\n"):
        path.write_bytes(dump_header(SETTINGS) + row)
        with pytest.raises(MeasurementError, match="journal: line 2: damaged; remove the file to begin again"):
            opened(tmp_path).__enter__()


@pytest.mark.parametrize(("most", "expected"), [(1, [1]), (3, [1, 3]), (12, [1, 4, 12])])
def test_images_are_cut_into_one_crop_a_few_and_the_most(most: int, expected: list[int]) -> None:
    processor = TrimoeMolmoeImageProcessor(max_crops=most)
    sizes = image_sizes(processor.settings())
    crops = [len(processor.crop(np.zeros((height, width, 3), np.uint8)).patches) - 1 for width, height in sizes]
    assert crops == expected
    assert sizes[0] == (336, 336)
    assert default_grid(sizes).images == (None, *sizes)


def test_without_crops_there_is_one_size_and_without_images_none() -> None:
    assert image_sizes(TrimoeMolmoeImageProcessor(crop_mode="resize").settings()) == ((336, 336),)
    assert image_sizes(None) == ()


def test_stages_that_run_side_by_side_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1.0, 3.0, 4.0, 6.0, 7.0])
    monkeypatch.setattr("profiles.latency.bench.stage_times.time.perf_counter", lambda: next(moments))
    clock = StageTimes()
    with clock.stage("prefill"), clock.stage("vision"):  # prefill from 0 to 4, vision from 1 to 3
        pass
    with clock.stage("prefill"):
        pass
    assert clock.ms == pytest.approx({"vision": 1e3, "prefill": 4e3})


def test_what_no_stage_says_of_itself_counts_for_what_is_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1.0, 3.0, 4.0, 5.0, 9.0])
    monkeypatch.setattr("profiles.latency.bench.stage_times.time.perf_counter", lambda: next(moments))
    clock = StageTimes()
    with clock.around("prefill"):
        with clock.stage("vision"):  # from 1 to 3
            pass
        with clock.stage("prefill"):  # from 4 to 5, and around it until 9
            pass
    assert clock.ms == pytest.approx({"vision": 2e3, "prefill": 7e3})


def test_a_machine_that_is_too_noisy_is_refused_with_what_to_do() -> None:
    noisy = [visit(CELLS[0], float(i), 1.0 + (i % 3)) for i in range(9)]
    with pytest.raises(MeasurementError, match=r"too noisy.*± \d+ %, the limit is 25 %; stop other programs"):
        check_spread(noisy, Limits())
    still = [visit(CELLS[0], float(i), 1.0 + 0.01 * (i % 3)) for i in range(9)]
    assert check_spread(still, Limits()) < 0.02
