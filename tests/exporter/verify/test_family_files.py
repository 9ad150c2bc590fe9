"""A family holds exactly its listed files, each a regular file: links, pipes, folders and sockets in their place are
named, and none of them is opened."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.verify.family_files import selected_records
from runtime.documents.manifest import read_manifest
from tests.support.commands import export_with_graphs, trimoe
from tests.support.graph_families import write_graph_model

DEADLINE = 60  # seconds; whoever opens a named pipe waits for ever
VARIANT, OTHER = "b3-k2", "b2-k2"
PLACES = (
    "manifest.json",
    "tensors.json",
    "golden/inputs.safetensors",
    f"golden/{VARIANT}.safetensors",
    f"golden/onnx-float32-cpu/{VARIANT}.safetensors",
    "carried/tokenizer.json",
    "weights/non-block.safetensors",
    f"onnx/float32/{VARIANT}.onnx",
    "onnx/float32/weights.float32.bin",
    f"variants/{VARIANT}/config.json",
    f"variants/{VARIANT}/model-00001-of-00004.safetensors",
)


def open_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the address of a socket has at most 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "dangling link": (
        lambda path: path.symlink_to("/nowhere/at-all"),
        "a symbolic link to /nowhere/at-all, which does not exist",
    ),
    "link to itself": (lambda path: path.symlink_to(path.name), "a symbolic link to {name}"),
    "link out of the family": (lambda path: path.symlink_to(__file__), f"a symbolic link to {__file__}, outside"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "a symbolic link to /dev/zero, outside the family"),
    "named pipe": (os.mkfifo, "a named pipe"),
    "folder": (Path.mkdir, "a folder"),
    "socket": (open_socket, "a socket"),
}


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    """Fail instead of waiting for the other end of a pipe."""

    def fail(*_: object) -> None:
        raise TimeoutError(f"not done after {DEADLINE} s")

    signal.signal(signal.SIGALRM, fail)
    signal.alarm(DEADLINE)
    yield
    signal.alarm(0)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family of two variants with a tokenizer file, golden outputs and graphs."""
    place = tmp_path_factory.mktemp("exported")
    write_graph_model(place / "source", "olmoe")
    (place / "source" / "tokenizer.json").write_text("{}", "utf-8")
    result = export_with_graphs(place / "source", place / "family", "--remove", "1,2")
    assert result.exit_code == 0, result.output
    return place / "family"


@pytest.fixture
def family(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "family")


def failed(family: Path, *options: str) -> dict[str, str]:
    """What the failed checks say, by name."""
    result = trimoe("verify", family, "--no-logits", "--json", *options)
    assert result.exit_code == 1, result.output
    checks = json.loads(result.stdout)["checks"]
    return {check["name"]: check["detail"] for check in checks if check["outcome"] == "failed"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_what_stands_in_place_of_a_file_fails_by_name_and_is_not_opened(place: str, kind: str, family: Path) -> None:
    put, said = KINDS[kind]
    path = family / place
    path.unlink()
    put(path)
    found, what = failed(family), said.format(name=path.name)
    if place == "manifest.json":
        assert found["manifest"].startswith(f"{path}: not a regular file: {what}")
    else:
        assert f"not regular files, first {place}: {what}" in found["files"]


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"folder"}))
def test_an_unlisted_thing_is_named_with_what_it_is(kind: str, family: Path) -> None:
    put, said = KINDS[kind]
    put(family / "golden" / "more.safetensors")
    first = "1 file that manifest.json does not list, first golden/more.safetensors"
    assert failed(family)["files"].startswith(f"{first} ({said.format(name='more.safetensors')}")


def test_a_folder_that_is_a_link_is_named_with_what_is_missing_below_it(family: Path) -> None:
    (family / "golden").rename(family.parent / "golden")
    (family / "golden").symlink_to(family.parent / "golden")
    found = failed(family)["files"]
    assert "files missing, first golden/" in found
    assert f"does not list, first golden (a symbolic link to {family.parent}/golden, outside the family)" in found


def test_several_faults_are_all_named(family: Path) -> None:
    (family / "tensors.json").unlink()
    (family / "carried/tokenizer.json").unlink()
    os.mkfifo(family / "carried/tokenizer.json")
    (family / "more").write_bytes(b"")
    found = failed(family)["files"]
    assert "missing, first tensors.json" in found
    assert "first carried/tokenizer.json: a named pipe; 1 file that manifest.json does not list, first more" in found


@pytest.mark.parametrize("place", [f"onnx/float32/{VARIANT}.onnx", f"golden/onnx-float32-cpu/{VARIANT}.safetensors"])
def test_the_graph_and_its_golden_file_concern_one_variant_alone(place: str, family: Path) -> None:
    (family / place).unlink()
    os.mkfifo(family / place)
    assert trimoe("verify", family, "--variant", OTHER, "--no-logits").exit_code == 0
    assert f"first {place}: a named pipe" in failed(family, "--variant", VARIANT)["files"]


def test_the_records_of_one_variant_are_its_own_and_the_family_s(family: Path) -> None:
    manifest = read_manifest(family)
    paths = {record.path for record in selected_records(manifest, (VARIANT,))}
    assert {"tensors.json", "golden/inputs.safetensors", "onnx/float32/weights.float32.bin"} < paths
    assert not [path for path in paths if OTHER in path]
    assert {path for path in {record.path for record in manifest.files} - paths if OTHER not in path} == {
        "weights/block-03-layer-01.safetensors"
    }


def heavy_modules(folder: Path) -> tuple[int, set[str]]:
    """The exit status of `trimoe verify` in a process of its own, and which heavy packages it imported."""
    code = (
        "import sys, click.testing, runtime.cli\n"
        f"result = click.testing.CliRunner().invoke(runtime.cli.main, ['verify', {str(folder)!r}])\n"
        "heavy = {'torch', 'transformers', 'onnx', 'onnxruntime', 'numpy'} & sys.modules.keys()\n"
        "print(result.exit_code, *heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, *heavy = done.stdout.split()
    return int(status), set(heavy)


@pytest.mark.parametrize("place", ["nope", "empty"])
def test_what_is_no_family_is_said_before_anything_heavy_is_imported(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert heavy_modules(tmp_path / place) == (1, set())


def test_a_damaged_family_is_refused_without_torch(family: Path) -> None:
    (family / "tensors.json").unlink()
    assert not heavy_modules(family)[1] & {"torch", "onnxruntime"}
