"""`trimoe replay`: options, table and document, without torch."""

import json
import subprocess
import sys
from pathlib import Path

from runtime.documents.latency.estimator_document import dump_estimator
from runtime.documents.manifest import read_manifest
from runtime.serving.decisions.log import DecisionLog
from tests.runtime.serving.decisions.test_replay import ESTIMATOR
from tests.support.commands import trimoe
from tests.support.decision_logs import header


def test_a_log_is_replayed_with_another_familys_estimator(bare_family: Path, tmp_path: Path) -> None:
    manifest = read_manifest(bare_family)
    estimator = tmp_path / "estimator.json"
    estimator.write_bytes(dump_estimator(ESTIMATOR.document))
    log = DecisionLog(tmp_path / "log", header(manifest))
    log.close()
    found = trimoe("replay", tmp_path / "log", "--family", bare_family, "--json")
    assert found.exit_code == 0, found.output
    assert [one["policy"] for one in json.loads(found.stdout)["policies"]] == ["as logged", "choice", "largest"]
    refused = trimoe("replay", tmp_path / "log", "--family", bare_family, "--estimator", estimator)
    assert refused.exit_code == 1
    assert "the estimator for float32 is for layers of 64 experts" in refused.stderr
    refused = trimoe("replay", tmp_path / "log", "--family", bare_family, "--quantile", "0.5")
    assert "a quantile of the length changes predictions: give an estimator too" in refused.stderr


def test_the_table_of_an_empty_log(bare_family: Path, tmp_path: Path) -> None:
    DecisionLog(tmp_path / "log", header(read_manifest(bare_family))).close()
    found = trimoe("replay", tmp_path / "log", "--family", bare_family, "--policy", "quickest")
    assert found.exit_code == 0, found.output
    assert "0 requests, 0 with a budget" in found.stdout


def test_help_loads_no_engine() -> None:
    code = (
        "import sys; from runtime.commands.replay import replay; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'onnxruntime')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
