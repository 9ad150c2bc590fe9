"""`trimoe export`: what it prints, how it exits, and how its options go together."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from exporter.commands.export import export
from exporter.family.staging import Staging
from runtime.cli import Commands
from runtime.documents.manifest import read_manifest
from tests.support.families import bare_source

TRIMOE = (sys.executable, "-c", "from runtime.cli import main; main()")
REMOVE = ("--remove", "1", "--remove", "1,3", "--top-k", "2,1")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return bare_source(tmp_path / "source")


def run(*arguments: object) -> Result:
    group = Commands("trimoe")
    group.add_command(export)
    group.get_command = lambda ctx, name: export  # type: ignore[method-assign]
    return CliRunner().invoke(group, ["export", *map(str, arguments)])


def test_an_export_ends_with_a_table_of_variants_checks_and_sizes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.commands.export.terminal_width", lambda stream: 80)
    result = run(source, "--out", tmp_path / "family", "--no-logits", *REMOVE)
    assert result.exit_code == 0, result.output
    assert all(len(line) <= 80 for line in result.output.splitlines() if str(tmp_path) not in line)
    for text in (
        "b5-k2",
        "b4-k1",
        "structure  4 of 4 passed",
        "logits     4 of 4 skipped: --no-logits was given",
        f"Exported to {tmp_path}/family",
    ):
        assert text in result.output
    assert result.stderr == ""
    again = run(source, "--out", tmp_path / "family", "--no-logits", *REMOVE)
    assert re.search(
        rf"^Already there, with the same weights: {tmp_path}/family \([0-9.]+ kB\)\.\nNothing was written\.$",
        again.output,
        re.MULTILINE,
    )
    assert all(len(line.replace(str(tmp_path), "artifacts")) <= 80 for line in again.output.splitlines())
    assert again.exit_code == 0


def test_json_gives_programs_the_same(source: Path, tmp_path: Path) -> None:
    result = run(source, "--out", tmp_path / "family", "--no-logits", "--json", *REMOVE)
    document = json.loads(result.stdout)
    manifest = read_manifest(tmp_path / "family")
    assert document["format"] == "trimoe.export"
    assert document["folder"] == str(tmp_path / "family")
    assert [v["id"] for v in document["variants"]] == [v.id for v in manifest.variants]
    assert document["disk_bytes"] == sum(f.size for f in manifest.files if f.link_of is None)
    assert not document["up_to_date"]


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_a_dry_run_prints_the_plan_and_writes_nothing(source: Path, tmp_path: Path, extra: tuple[str, ...]) -> None:
    result = run(source, "--dry-run", *REMOVE, *extra)
    assert result.exit_code == 0, result.output
    assert "b4-k1" in result.output
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_options_that_do_not_go_together_are_usage_errors(source: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((), "Missing argument 'CHECKPOINT'"),
        ((source, *REMOVE), "give --out DIR"),
        ((source, "--out", tmp_path / "f"), "exactly one of --recommendations, --importance and --remove"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert message in result.output


def test_refusals_exit_with_1_and_one_message(source: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x", "utf-8")
    for arguments, message in (
        ((source, "--out", tmp_path / "taken", "--no-logits", *REMOVE), "taken: holds 'x' and no manifest.json"),
        ((tmp_path / "none", "--out", tmp_path / "f", *REMOVE), "none: no such folder"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1, result.output
        assert result.output.startswith("Error: ")
        assert message in result.output


def test_a_running_export_to_the_same_target_is_named(source: Path, tmp_path: Path) -> None:
    with Staging(tmp_path / "family"):
        result = run(source, "--out", tmp_path / "family", "--no-logits", *REMOVE)
    assert result.exit_code == 1
    assert "another export to it is running (process" in result.output


def test_a_file_size_limit_in_the_middle_is_an_error_that_says_how_to_resume(tmp_path: Path) -> None:
    source = bare_source(tmp_path / "source", blocks=4, vocab_size=40)
    arguments = [*TRIMOE, "export", str(source), "--out", str(tmp_path / "family"), "--no-logits", "--remove", "1"]
    limit = (source / "model.safetensors").stat().st_size // 4

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    failed = subprocess.run(arguments, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert failed.returncode == 1
    assert re.search(
        rf"weights/block-.*safetensors: the file size limit is reached: {limit:,} bytes \(ulimit -f\)\n", failed.stderr
    )
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "family").exists()
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "Exported to" in done.stdout
    assert done.stderr == ""


def run_code(code: str, source: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Export in a process of its own that runs `code`."""
    arguments = [sys.executable, "-c", code, "export", str(source), "--out", str(out), *REMOVE, *options]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def test_an_export_without_logit_check_needs_no_torch_and_little_memory(source: Path, tmp_path: Path) -> None:
    # VmHWM begins anew with the program, unlike ru_maxrss, which still holds what the forked test process had.
    code = "import sys\nfrom runtime.cli import main\ntry:\n    main()\nfinally:\n"
    code += "    peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:'))\n"
    code += "    print(peak, 'torch' in sys.modules, 'numpy' in sys.modules, file=sys.stderr)"
    done = run_code(code, source, tmp_path / "family", "--no-logits")
    assert done.returncode == 0, done.stderr
    peak_kib, torch, numpy = done.stderr.split()
    assert (torch, numpy) == ("False", "False")
    assert int(peak_kib) < 120_000


@pytest.mark.parametrize(
    ("package", "extra", "said"),
    [
        (
            "torch",
            (),
            "the logit check, which --no-logits leaves out, needs the package torch, which is not installed: "
            "pip install 'trimoe[export]'\n",
        ),
        (
            "transformers",
            (),
            "the logit check, which --no-logits leaves out, needs the package transformers, which is not installed: "
            "pip install 'trimoe[export]'\n",
        ),
        (
            "onnx_ir",
            ("--format", "safetensors,onnx"),
            "--format onnx needs the package onnx_ir, which is not installed: pip install 'trimoe[export,cpu]'\n",
        ),
        (
            "onnxruntime",
            ("--format", "safetensors,onnx", "--no-logits"),
            "--format onnx needs the package onnxruntime, which is not installed: pip install 'trimoe[export,cpu]'\n",
        ),
    ],
)
def test_a_missing_package_is_named_before_anything_is_written(
    source: Path, tmp_path: Path, package: str, extra: tuple[str, ...], said: str
) -> None:
    code = f"import sys\nsys.modules[{package!r}] = None\nfrom runtime.cli import main\nmain()"
    done = run_code(code, source, tmp_path / "new" / "family", *extra)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {said}")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_progress_is_drawn_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from runtime.text.progress_bar import ProgressBar

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = ProgressBar()
    bar.begin("writing", 2_000_000)
    bar.advance(1_000_000)
    bar.end()
    shown = capsys.readouterr().err
    assert "writing" in shown
    assert "1.00 MB of 2.00 MB" in shown
    assert "/s" in shown
    assert shown.endswith("\r\x1b[K")
    assert list(bar.seconds) == ["writing"]


def test_names_that_are_too_long_are_one_message(source: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    for arguments in (
        (source, "--out", long, "--no-logits", *REMOVE),
        (long, "--out", tmp_path / "f", "--no-logits", *REMOVE),
    ):
        result = run(*arguments)
        assert result.exit_code == 1, arguments
        assert result.output.count("\n") == 1
        assert result.output.startswith("Error: ")
        assert "File name too long" in result.output


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_a_path_that_is_not_utf_8_is_exported_to_and_printed_escaped(
    source: Path, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    out = os.fsdecode(os.fsencode(tmp_path / "bad") + b"\xff")
    result = run(source, "--out", out, "--no-logits", *REMOVE, *extra)
    assert result.exit_code == 0, result.output
    assert ("bad\\\\xff" if extra else "bad\\udcff") in result.stdout
    assert read_manifest(Path(out)).variants


def test_a_checkpoint_whose_path_is_not_utf_8_is_refused_before_it_is_read(tmp_path: Path) -> None:
    result = run(
        os.fsdecode(os.fsencode(tmp_path / "bad") + b"\xff"), "--out", tmp_path / "family", "--no-logits", *REMOVE
    )
    assert result.exit_code == 1
    assert "bad\\udcff: this path is not UTF-8" in result.output
