"""Fixtures of all tests: families exported once for the whole run, which tests only read, and copy to change."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exporter.plan.plan import Plan
from exporter.reference.threads import using_threads
from tests.support.families import (
    ModelFamilies,
    bare_source,
    copy_family,
    export_plan,
    export_verified,
    model_source,
    plan_family,
    plan_model,
)
from tests.support.graph_families import CopyGraphs, Exported, GraphFamilies, copy_exported
from tests.support.paths import DEMO, ROOT
from tests.support.prepared_families import export_quantised_family


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """More threads than tiny models need only wait for each other, and their number decides the last bits."""
    with using_threads(1):
        yield


@pytest.fixture(scope="session")
def bare_family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The family of a `bare_source`, which is beside it: three depths times two top_k."""
    folder = tmp_path_factory.mktemp("bare")
    export_plan(plan_family(bare_source(folder / "source")), folder / "family")
    return folder / "family"


@pytest.fixture
def own_bare_family(bare_family: Path, tmp_path: Path) -> Path:
    """A copy of `bare_family` to be changed."""
    return copy_family(bare_family, tmp_path / "family")


@pytest.fixture(scope="session")
def model_family(tmp_path_factory: pytest.TempPathFactory) -> ModelFamilies:
    """Plan and place, by architecture, of a family with golden outputs; its source is beside it. MolmoE's variants were
    loaded in a process of their own."""

    @cache
    def exported(architecture: str) -> tuple[Plan, Path]:
        folder = tmp_path_factory.mktemp(architecture)
        plan = plan_model(architecture, model_source(architecture, folder / "source"))
        export_verified(plan, folder / "family", loads=architecture == "molmoe")
        return plan, folder / "family"

    return exported


@pytest.fixture(scope="session")
def quantised_family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graphs in int8 of prepared_families.WHOLE, OTHER and the two between, with golden outputs."""
    return export_quantised_family(tmp_path_factory.mktemp("quantised"))


@pytest.fixture(scope="session")
def demo_family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One variant of the demo's family, b14-k4, as `trimoe export` makes it: artifacts/demo in a folder of its own."""
    family = tmp_path_factory.mktemp("demo") / "artifacts" / "demo"
    options = ["--remove", "10,15", "--top-k", "4", "--format", "safetensors,onnx", "--no-logits"]
    code = "from runtime.cli import main; main()"
    command = [sys.executable, "-c", code, "export", str(DEMO / "checkpoint"), *options, "--out", str(family)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return family


@pytest.fixture(scope="session")
def graph_families(tmp_path_factory: pytest.TempPathFactory) -> GraphFamilies:
    """Graphs of tiny models, by what they were asked for."""
    return GraphFamilies(folder=tmp_path_factory.mktemp("graphs"))


@pytest.fixture
def own_graphs(graph_families: GraphFamilies, tmp_path: Path) -> CopyGraphs:
    """Copies of such graphs to be changed; `checked=True` for those with golden outputs."""

    def copied(case: str, *, checked: bool = False, **options: Any) -> Exported:
        found = (graph_families.checked if checked else graph_families.exported)(case, **options)
        return copy_exported(found, Path(tempfile.mkdtemp(dir=tmp_path)) / "family")

    return copied
