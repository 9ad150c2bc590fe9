"""`trimoe bench` and `trimoe fit` on a tiny family: killed and carried on, refused, compared, fitted."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from profiles.errors import MeasurementError
from profiles.latency.bench.forms import Form, find_forms
from profiles.reports.bench_progress import BenchProgress
from profiles.reports.latency_table import show_profile
from runtime.cli import main
from runtime.documents.latency.estimator_document import dump_estimator, read_estimator
from runtime.documents.latency.profile_document import dump_profile, read_profile
from runtime.documents.manifest import FileRecord, read_manifest
from tests.support.families import export_plan, model_source, plan_family
from tests.support.latency_documents import ESTIMATOR, PROFILE
from tests.support.tiny_tokenizer import write_tiny_processor_files

SMALL = ("--engine", "torch", "--threads", "1", "--grid", "batch=1,2 image=none,24x24 text=8,20")
TRIMOE = "from runtime.cli import main; main()"
LOOSE = ("--spread-limit", "1000")


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("molmoe")
    write_tiny_processor_files(model_source("molmoe", folder / "source"))
    export_plan(plan_family(folder / "source", removals=((), (2,)), top_ks=(4, 1)), folder / "family")
    return folder / "family"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def profile(family: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("profile") / "a.json"
    result = invoke("bench", family, "--out", out, *SMALL, *LOOSE, "--repeats", "4")
    assert result.exit_code == 0, result.output
    return out


def test_killed_the_same_command_carries_on_with_the_same_visits(family: Path, tmp_path: Path) -> None:
    out, journal = tmp_path / "a.json", tmp_path / "a.json.torch.journal"
    command = ["bench", str(family), "--out", str(out), *SMALL, *LOOSE]
    started = subprocess.Popen([sys.executable, "-c", TRIMOE, *command], stderr=subprocess.DEVNULL)
    while not journal.exists() or journal.read_bytes().count(b"\n") < 6:
        assert started.poll() is None
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    started.wait()
    earlier = re.sub(rb'"taken":"[^"]+"', b'"taken":"2026-11-20T10:00:00+00:00"', journal.read_bytes(), count=1)
    journal.write_bytes(earlier)
    kept = journal.read_bytes()
    assert not out.exists()
    whole = kept[: kept.rfind(b"\n") + 1]
    refused = invoke(*command[:-2], "--budget-minutes", "0.0001", "--spread-limit", "0.000001")
    assert "too noisy to measure" in refused.output and "--spread-limit" in refused.output
    assert refused.exit_code == 1 and not out.exists()
    assert journal.read_bytes().startswith(whole)
    visits = journal.read_bytes().count(b"\n") - 1
    carried = invoke(*command, "--budget-minutes", "0.0001")
    assert carried.exit_code == 0, carried.output
    assert read_profile(out).taken == "2026-11-20T10:00:00+00:00"  # when the run began
    points = [point for point in read_profile(out).points if point.stage == "prefill"]
    counted = sum(point.count for point in points)  # but for those that other programs disturbed
    assert counted <= visits <= counted + read_profile(out).disturbed
    assert not journal.exists()


def test_a_profile_holds_every_stage_of_every_variant(family: Path, profile: Path) -> None:
    found, manifest = read_profile(profile), read_manifest(family)
    assert [one.id for one in found.variants] == [one.id for one in manifest.variants]
    assert (found.model.architecture, found.device.threads) == ("molmoe", 1)
    for variant in manifest.variants:
        points = [point for point in found.points if point.variant == variant.id]
        assert {point.stage for point in points} == {"image", "vision", "prefill", "sampling", "decode"}
        assert {(point.batch, point.vision_tokens > 0) for point in points} == {
            (batch, image) for batch in (1, 2) for image in (False, True)
        }
        decoded = [point for point in points if point.stage == "decode"]
        assert all(point.position == point.vision_tokens + point.text_tokens + 8 + 3.5 for point in decoded[::2])
    assert all(point.count in (3, 4) for point in found.points)


def test_a_profile_is_fitted_recalibrated_and_compared(profile: Path, tmp_path: Path) -> None:
    fitted = invoke("fit", profile, "--out", tmp_path / "e.json")
    assert fitted.exit_code == 0, fitted.output
    assert "mean error in percent on what was left out" in fitted.output
    assert [one.stage for one in read_estimator(tmp_path / "e.json").stages][-1] == "decode"
    moved = invoke("fit", profile, "--from", tmp_path / "e.json", "--out", tmp_path / "f.json")
    assert moved.exit_code == 0 and "before" in moved.output
    printed = invoke("fit", profile, "--out", tmp_path / "g.json", "--json")
    assert json.loads(printed.output) == json.loads((tmp_path / "e.json").read_text())
    same = invoke("bench", "--compare", profile, profile)
    assert "under the same conditions, which agree within 3 %" in " ".join(same.output.split())
    assert same.exit_code == 0 and "1.000  [1.000, 1.000]" in same.output
    stages = json.loads(invoke("bench", "--compare", profile, profile, "--json").output)["stages"]
    assert {one["ratio"] for one in stages} == {1.0}


def test_what_differs_between_two_profiles_is_said(tmp_path: Path) -> None:
    slow = replace(PROFILE.points[0], median_ms=3.0)
    other = replace(PROFILE, software={"onnxruntime": "1.29"}, points=(slow,))
    (tmp_path / "a.json").write_bytes(dump_profile(PROFILE))
    (tmp_path / "b.json").write_bytes(dump_profile(other))
    text = invoke("bench", "--compare", tmp_path / "a.json", tmp_path / "b.json").output
    assert "prefill       1  1.200  [1.200, 1.200]" in text
    assert "onnxruntime  1.28  1.29" in text
    assert "under the same conditions" not in text
    (tmp_path / "b.json").write_bytes(dump_profile(replace(other, software=PROFILE.software)))
    noisy = invoke("bench", "--compare", tmp_path / "a.json", tmp_path / "b.json").output
    assert "prefill differs by 20.0 %, the limit is 3 %: the machine is too noisy" in " ".join(noisy.split())
    (tmp_path / "b.json").write_bytes(dump_profile(replace(other, points=())))
    refused = invoke("bench", "--compare", tmp_path / "a.json", tmp_path / "b.json")
    assert (refused.exit_code, "no variant, load and stage in common" in refused.output) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--engine", "onnx"), 1, "no ONNX graphs; the family has none: export with --format safetensors,onnx"),
        (("--grid", "text=3"), 1, "grid: text=3: expected a number of at least 4"),
        (("--grid", "text=9000"), 1, "the model has"),
        (("--variant", "b9"), 1, "no variant 'b9' in this family"),
        (("--device", "tpu"), 2, "'tpu' is neither cpu nor cuda:N"),
        (("--device", "cuda:99"), 1, "cuda:99: torch "),
        (("--preset", "h100", "--device", "cuda:98"), 1, "cuda:98: torch "),
        (("--preset", "a100", "--device", "cpu", "--grid", "text=3"), 1, "grid: text=3: expected"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: tuple[str, ...], status: int, message: str, family: Path, tmp_path: Path
) -> None:
    engine = () if "--engine" in arguments else ("--engine", "torch")
    result = invoke("bench", family, "--out", tmp_path / "a.json", *engine, "--threads", "1", *arguments)
    assert (result.exit_code, message in result.output) == (status, True), result.output
    assert not (tmp_path / "a.json").exists()


def test_a_corrupt_profile_or_estimator_is_named(profile: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    for content in (b"{", profile.read_bytes()[:-40], dump_estimator(ESTIMATOR)):
        broken.write_bytes(content)
        result = invoke("fit", broken, "--out", tmp_path / "e.json")
        assert (result.exit_code, "broken.json: " in result.output) == (1, True)
    broken.write_bytes(profile.read_bytes())
    result = invoke("fit", profile, "--from", broken, "--out", tmp_path / "e.json")
    assert "broken.json: format: expected 'trimoe.latency-estimator'" in result.output
    assert not (tmp_path / "e.json").exists()


def test_bench_measures_or_compares() -> None:
    assert "give FAMILY and --out, or --compare A B" in invoke("bench").output


def test_a_family_of_random_weights_without_a_tokenizer_is_measured_with_tokens_alone(tmp_path: Path) -> None:
    source = model_source("olmoe", tmp_path / "source")
    config = source / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "trimoe_synthetic": True}))
    export_plan(plan_family(source, removals=((), (2,)), top_ks=(4, 1)), tmp_path / "family")
    out = tmp_path / "a.json"
    options = ("--engine", "torch", "--threads", "1", *LOOSE, "--repeats", "3")
    result = invoke("bench", tmp_path / "family", "--out", out, *options, "--grid", "batch=1 text=8,20")
    assert result.exit_code == 0, result.output
    found = read_profile(out)
    assert found.model.synthetic and {point.text_tokens for point in found.points} == {8, 20}
    assert {point.stage for point in found.points} == {"prefill", "sampling", "decode"}
    refused = invoke("bench", tmp_path / "family", "--out", out, *options, "--grid", "image=24x24")
    assert "reads no images; only image=none" in refused.output


def test_graphs_are_found_in_the_files_of_the_family(family: Path) -> None:
    manifest = read_manifest(family)
    files = tuple(
        FileRecord(path=f"onnx/{dtype}/b1.onnx", size=1, sha256="a" * 64, link_of=None) for dtype in ("int8", "float32")
    )
    both = replace(manifest, files=(*manifest.files, *files))
    torch, first, second = (
        Form(engine="torch", dtype=None),
        *(Form(engine="onnx", dtype=d) for d in ("float32", "int8")),
    )
    assert find_forms(both, engine="all", dtypes=()) == (torch, first, second)
    assert find_forms(both, engine="onnx", dtypes=("int8",)) == (second,)
    assert find_forms(manifest, engine="all", dtypes=()) == (torch,)
    with pytest.raises(MeasurementError, match="no ONNX graphs in int4; the family has float32, int8"):
        find_forms(both, engine="all", dtypes=("int4",))


def test_progress_says_how_much_is_known_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter([0.0, 20.0, 20.0, 21.0])
    progress = BenchProgress(sys.stderr, 30.0, clock=lambda: next(moments))(Form(engine="onnx", dtype="int8"))
    progress.visited(visits=20, settled=2, cells=8, second=20.0)
    progress.visited(visits=21, settled=3, cells=8, second=21.0)
    assert capsys.readouterr().err == "onnx-int8: 2 of 8 cells known after 20 visits, 20 s, 10 s left\n"


def test_the_table_compares_variants_at_what_all_were_measured_at() -> None:
    point = next(one for one in PROFILE.points if one.stage == "prefill")
    slow = replace(point, text_tokens=point.text_tokens + 500, median_ms=900.0, p5_ms=900.0, p95_ms=900.0)
    points = [replace(point, variant="a", median_ms=5.0), replace(slow, variant="a")]
    points += [replace(point, variant="b", median_ms=7.0)]
    table = show_profile(replace(PROFILE, points=tuple(points)), width=None)
    assert [line.split()[2:6] for line in table.splitlines()[-2:]] == [["a", "–", "–", "–"], ["b", "–", "–", "–"]]
    assert ["900" in line for line in table.splitlines()[-2:]] == [False, False]
    assert [line.split()[6] for line in table.splitlines()[-2:]] == ["5", "7"]
