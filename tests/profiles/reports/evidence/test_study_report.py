"""`trimoe analyze` from a folder to pictures, page, text and documents, opened in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.evidence.files import as_recommendations, read_evidence_file
from exporter.evidence.strategies import Rule
from profiles.evidence.combining.recommend import Settings
from profiles.evidence.combining.study import read_study
from profiles.evidence.comparing.overview import look_over
from profiles.reports.evidence.study_charts import study_charts
from profiles.reports.evidence.study_page import study_page
from profiles.reports.pictures.canvas import NARROW, settings
from tests.support.browser import Browser, headless_browser
from tests.support.commands import trimoe
from tests.support.study_trees import study_tree, write_tree

FIGURES = (
    "rankings_by_num_removed",
    "task_type_comparison",
    "block_position_analysis",
    "combination_vs_individual",
    "consistency_analysis",
    "dataset_responses",
    "drop_distributions",
    "dataset_pairwise_comparison",
    "task_type_detailed_comparison",
)
"""Those of the study."""
DOCUMENTS = (
    "cross_dataset_analysis.json",
    "pairwise_dataset_stats.json",
    "pruning_recommendations.json",
    "block_configs_for_core_exp.json",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analyzed")
    result = trimoe("analyze", study_tree(folder / "study"), "--out", folder / "out")
    assert result.exit_code == 0, result.output
    assert sorted(result.stdout.splitlines()) == sorted(str(path) for path in (folder / "out").iterdir())
    return folder / "out"


def test_every_figure_of_the_study_is_written_and_the_documents(written: Path) -> None:
    found = {path.name for path in written.iterdir()}
    pictures = {f"{name}.{kind}" for name in (*FIGURES, "estimates_over_all") for kind in ("svg", "png")}
    assert found == pictures | {*DOCUMENTS, "report.html", "comprehensive_report.txt"}
    for path in written.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_text_and_the_documents_have_the_studys_choices(written: Path) -> None:
    text = (written / "comprehensive_report.txt").read_text("utf-8")
    assert "Without block 0: 62.70 points lost on 8 data sets; it is never removed" in text
    assert "Best by number removed: 1: [4] 3.09; 2: [2, 10] 2.42; 3: [12, 13, 14] 6.84; 4: [2, 4, 13, 14] 5.05." in text
    for title in (
        "Recommendations",
        "Task types",
        "Combinations against the sum of their parts",
        "Distribution of drops",
    ):
        assert f"\n{title}\n=" in text
    configurations = json.loads((written / "block_configs_for_core_exp.json").read_text())
    removed = {count: one["removed_block_indices"] for count, one in configurations["configs"].items()}
    assert removed == {"16": [], "15": [4], "14": [4, 13], "13": [4, 10, 13], "12": [2, 4, 10, 13]}
    recommended = as_recommendations(read_evidence_file(written / "pruning_recommendations.json"), Rule(), blocks=16)
    assert [list(step.blocks) for step in recommended.steps] == [removed[count] for count in ("15", "14", "13", "12")]


def test_an_analysis_is_shown_like_the_results_it_was_made_of(written: Path) -> None:
    study = read_study(written / "cross_dataset_analysis.json", blocks=16)
    charts = study_charts(look_over(study, Settings(), types={}))
    assert {chart.name for chart in charts} == {path.stem for path in written.glob("*.svg")}
    assert all(len(chart.alt) > 40 and chart.table.rows for chart in charts)


def test_names_are_shown_and_not_obeyed_and_few_results_are_drawn_too(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, {"<img src=x onerror=alert(1)>": {(1,): 0.1}, "b": {(1,): 0.2, (2,): 0.3}})
    overview = look_over(read_study(tree), Settings(), types={"b": "<b>x</b>"})
    page = study_page(overview, ()).decode()
    assert "<img src=x" not in page and "<b>x" not in page and "&lt;b&gt;x" in page
    for chart in study_charts(overview):
        with settings(NARROW):
            chart.draw(NARROW)


def test_a_task_type_without_a_name_is_a_usage_error(written: Path, tmp_path: Path) -> None:
    result = trimoe("analyze", written, "--out", tmp_path, "--task", "b")
    assert result.exit_code == 2 and "--task b: give NAME=TYPE, such as okvqa=vqa" in result.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless_browser() as found:
        yield found


@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser_every_figure_is_there_and_nothing_complains(browser: Browser, written: Path, width: int) -> None:
    browser.open(f"file://{written / 'report.html'}", width=width)
    for name in FIGURES:
        image = "const found = document.querySelector(`#${arguments[0]} img`);"
        natural, shown = browser.run(f"{image} return [found.naturalWidth, found.clientWidth]", name)
        assert natural > 0 and 300 < shown <= width, name
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return document.querySelectorAll('.explorer circle').length") == 32
    assert browser.messages() == []


def test_the_explorer_filters_sorts_and_tells(browser: Browser, written: Path) -> None:
    browser.open(f"file://{written / 'report.html'}", width=1280)
    names = "return [...document.querySelectorAll('.explorer tbody tr')].map(row => row.cells[0].textContent)"
    browser.type(".explorer input", "4 13")
    assert set(browser.run(names)) == {
        "[4, 13]", "[4, 10, 13]", "[4, 11, 13]", "[2, 4, 13, 14]", "[3, 4, 7, 13]", "[3, 4, 13, 14]", "[2, 4, 10, 13]"
    }  # fmt: skip
    browser.run("document.querySelector('.explorer button[data-key=mean]').click()")
    assert browser.run(names)[:3] == ["[2, 4, 13, 14]", "[4, 13]", "[4, 10, 13]"]
    browser.run("document.querySelector('.explorer tbody tr').click()")
    assert "measured 5.05 ± 2.37 points" in " ".join(browser.text(".explorer output").split())
    assert browser.messages() == []
