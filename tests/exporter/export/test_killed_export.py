"""An export killed at any moment: nothing or the whole family is visible, and the next run ends with the digests of an
undisturbed one.

The default run kills a few times; `pytest -m slow tests/test_export_kill.py` kills at 50 random moments.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.documents.manifest import read_manifest
from tests.support.families import bare_source, digests

TRIMOE = (sys.executable, "-c", "from runtime.cli import main; main()")
REQUEST = ("--no-logits", "--remove", "1", "--remove", "1,3", "--blocks", "4-6", "--top-k", "2,1")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_source(tmp_path_factory.mktemp("kill") / "source", blocks=6, experts=4, shards=2)


@pytest.fixture(scope="module")
def undisturbed(source: Path) -> tuple[dict[str, str], float]:
    """The digests of an export that nobody killed, and its seconds."""
    began = time.monotonic()
    with export(source, source.parent / "undisturbed") as process:
        assert process.wait() == 0
    return digests(source.parent / "undisturbed"), time.monotonic() - began


def export(source: Path, target: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*TRIMOE, "export", str(source), "--out", str(target), *REQUEST],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_after(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Kill the process after that time; False when it had ended before."""
    with process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def check_visible(target: Path, expected: dict[str, str]) -> None:
    """What others see at the target is nothing, or the whole family."""
    if target.exists():
        read_manifest(target)
        assert digests(target) == expected


def kill_and_resume(
    source: Path, target: Path, undisturbed: tuple[dict[str, str], float], generator: random.Random
) -> int:
    """Kill one to three runs at random moments, then let one finish; returns how many were really killed."""
    expected, seconds = undisturbed
    killed = 0
    for _ in range(generator.randint(1, 3)):
        killed += kill_after(export(source, target), generator.uniform(0.1, 1.05) * seconds)
        check_visible(target, expected)
    with export(source, target) as last:
        message = b"" if last.stderr is None else last.stderr.read()
        assert last.wait() == 0, message.decode()
    assert digests(target) == expected
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    return killed


def test_exports_killed_at_a_few_moments_show_nothing_partial_and_resume(
    tmp_path: Path, source: Path, undisturbed: tuple[dict[str, str], float]
) -> None:
    generator = random.Random(4)
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        kill_and_resume(source, tmp_path / str(number) / "family", undisturbed, generator)


def test_a_replacing_export_killed_at_a_few_moments_shows_the_old_or_the_new_family(
    tmp_path: Path, source: Path, undisturbed: tuple[dict[str, str], float]
) -> None:
    expected, seconds = undisturbed
    target = tmp_path / "family"
    old_request = ("--no-logits", "--remove", "2")
    subprocess.run(
        [*TRIMOE, "export", str(source), "--out", str(target), *old_request], stdout=subprocess.DEVNULL, check=True
    )
    old = digests(target)
    generator = random.Random(5)
    for _ in range(4):
        arguments = [*TRIMOE, "export", str(source), "--out", str(target), "--replace", *REQUEST]
        kill_after(
            subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE),
            generator.uniform(0.3, 1.05) * seconds,
        )
        assert digests(target) in (old, expected)
    subprocess.run(arguments, stdout=subprocess.DEVNULL, check=True)
    assert digests(target) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["family"]


@pytest.mark.slow
def test_exports_killed_at_50_moments_show_nothing_partial_and_resume(
    tmp_path: Path, source: Path, undisturbed: tuple[dict[str, str], float]
) -> None:
    generator = random.Random(50)
    killed = number = 0
    while killed < 50:
        (tmp_path / str(number)).mkdir()
        killed += kill_and_resume(source, tmp_path / str(number) / "family", undisturbed, generator)
        number += 1
