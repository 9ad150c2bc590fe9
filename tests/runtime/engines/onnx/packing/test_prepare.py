"""Quantised graphs on a prepared form: the same answers, whatever becomes of the place where it is kept."""

import errno
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runtime.documents.family_layout import graph_data_path
from runtime.documents.manifest import read_manifest
from runtime.engines.onnx.engine import OnnxEngine
from runtime.engines.onnx.packing import pack, same_answers, source
from runtime.engines.onnx.packing.prepare import prepare
from runtime.engines.onnx.packing.source import covering, read_source
from runtime.engines.prepared.forms import PreparedForms
from runtime.engines.prepared.packed_tensors import Packed
from runtime.engines.prepared.prepared import Prepared
from runtime.engines.protocol import Array, Prompt
from runtime.engines.settings import EngineSettings
from runtime.errors import DocumentError, TargetError, VerificationError
from runtime.text.progress import NoProgress
from tests.support.families import copy_family
from tests.support.paths import ROOT
from tests.support.prepared_families import OTHER, WHOLE

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def family(quantised_family: Path) -> Path:
    return quantised_family


@pytest.fixture
def forms(tmp_path: Path) -> PreparedForms:
    return PreparedForms(folder=tmp_path / "prepared")


def opened(family: Path, forms: PreparedForms | None) -> OnnxEngine:
    return OnnxEngine(family, read_manifest(family), EngineSettings(dtype="int8", threads=1, prepared=forms))


def answers(engine: OnnxEngine) -> list[Array]:
    """The logits behind a prompt and behind one token more, of two variants."""
    ids = np.random.default_rng(0).integers(2, 100, 40)
    prompts = [Prompt(variant=name, arrays={"input_ids": ids}) for name in (WHOLE, OTHER)]
    sequences = engine.prefill(prompts, max_new_tokens=2)
    first = sequences.logits.copy()
    sequences.decode([int(row.argmax()) for row in first])
    return [first, sequences.logits]


def check_right(engine: OnnxEngine, family: Path, *, shares: bool) -> None:
    expected, found = answers(opened(family, None)), answers(engine)
    assert engine.shares_weights is shares
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def made(family: Path, forms: PreparedForms) -> Prepared:
    return prepare(forms, read_source(family, read_manifest(family), "int8"), progress=NoProgress())


def test_all_variants_answer_on_it_as_without(family: Path, forms: PreparedForms) -> None:
    engine = opened(family, forms)
    assert engine.software["onnxruntime weights packed by"] == "the prepared form"
    check_right(engine, family, shares=True)
    assert not opened(family, None).shares_weights
    folders = [path for path in forms.place.iterdir() if path.is_dir()]
    opened(family, forms)
    assert [path for path in forms.place.iterdir() if path.is_dir()] == folders and len(folders) == 1


def test_what_kernels_pack_is_mapped(family: Path, forms: PreparedForms) -> None:
    """Other bytes in the place of what was packed change the answers: nobody packs for himself."""
    found = made(family, forms)
    weights = found.folder / found.document.weights.path
    assert weights.read_bytes().startswith((family / graph_data_path("int8")).read_bytes())
    packed = [one for notes in found.document.tensors.values() for one in notes if one.key.startswith("MatMulNBits+")]
    with weights.open("r+b") as file:
        for part in packed[0].parts:
            file.seek(part.offset)
            file.write(bytes(part.bytes))
    with pytest.raises(VerificationError, match="the logits of random prompts on prepared weights are not those"):
        same_answers.check_answers(found, read_source(family, read_manifest(family), "int8").decoders[:1])


def test_the_files_of_the_family_stay_as_they_are(family: Path, forms: PreparedForms) -> None:
    before = {path: path.stat().st_mtime_ns for path in family.rglob("*")}
    made(family, forms)
    assert {path: path.stat().st_mtime_ns for path in family.rglob("*")} == before


def test_graphs_of_blocks_are_packed_one_by_one_and_cover_those_of_variants(family: Path) -> None:
    found = read_source(family, read_manifest(family), "int8")
    names = [path.stem for path in covering(found.graphs)]
    assert names and not set(names) & {path.stem for path in found.decoders}
    assert [path.stem for path in covering(found.decoders)] == [WHOLE]


def test_another_processor_has_its_own_and_packs_anew(
    family: Path, forms: PreparedForms, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(family, forms)
    monkeypatch.setattr(source, "features", lambda: ("avx512_of_tomorrow",))
    second = made(family, forms)
    assert first.folder != second.folder and forms.find(first.document.origin) == first


def test_notes_of_another_packing_change_no_answer(
    family: Path, forms: PreparedForms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another processor's would be, if ever its key were this one's: the runtime compares what it packs."""

    def strange(found: Prepared, path: Path) -> bytes:
        others = {name: tuple(Packed(key=f"{one.key}1", parts=one.parts) for one in notes) for name, notes in tensors}
        return pack_notes(path.read_bytes(), others)

    from runtime.engines.prepared import prepared as module

    pack_notes, tensors = module.with_packed, list(made(family, forms).document.tensors.items())
    monkeypatch.setattr(Prepared, "graph", strange)
    check_right(opened(family, forms), family, shares=True)


def no_folder(place: Path) -> None:
    place.write_text("in the way")


def damaged(place: Path) -> None:
    for path in place.glob("*/weights.*"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")


def removed(place: Path) -> None:
    shutil.rmtree(place)


@pytest.mark.parametrize("change", [damaged, removed])
def test_a_form_that_is_gone_or_damaged_is_made_again(
    family: Path, forms: PreparedForms, change: Callable[[Path], None]
) -> None:
    made(family, forms)
    change(forms.place)
    check_right(opened(family, forms), family, shares=True)


def test_variants_that_load_after_its_removal_run_without(
    family: Path, forms: PreparedForms, caplog: pytest.LogCaptureFixture
) -> None:
    engine = opened(family, forms)
    engine.load(WHOLE)
    removed(forms.place)
    check_right(engine, family, shares=False)
    assert re.search(
        rf"{family}: {OTHER} and what is opened later run without its prepared form: {forms.place}", caplog.text
    )


def full(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 1 << 40, 99))
    return r"preparing \S+weights\.int8\.bin takes up to .* there, 99 B are free"


def full_later(monkeypatch: pytest.MonkeyPatch) -> str:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pack, "_copy_data", fail)
    return r"cannot be prepared there: No space left on device"


@pytest.mark.parametrize("fill", [full, full_later])
def test_on_a_full_disk_the_runtime_goes_on_and_preparing_fails(
    family: Path,
    forms: PreparedForms,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fill: Callable[[pytest.MonkeyPatch], str],
) -> None:
    said = fill(monkeypatch)
    with pytest.raises(TargetError, match=said):
        made(family, forms)
    check_right(opened(family, forms), family, shares=False)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert re.search(rf"run without a prepared form: each variant packs weights for itself.*{said}", caplog.text)
    assert [path.name for path in forms.place.iterdir()] == [".lock"]


def test_where_nothing_can_be_written_the_runtime_goes_on_and_preparing_fails(
    family: Path, forms: PreparedForms, caplog: pytest.LogCaptureFixture
) -> None:
    no_folder(forms.place)
    with pytest.raises(TargetError, match=rf"{forms.place}: \S+ cannot be prepared there: (File|Not)"):
        made(family, forms)
    check_right(opened(family, forms), family, shares=False)
    assert "run without a prepared form" in caplog.text


def test_a_limit_on_the_size_of_files_is_a_target_error(family: Path, tmp_path: Path) -> None:
    """What a session saves is cut off: the runtime says so, and nothing is left."""
    code = (
        "import resource, sys; from pathlib import Path; from runtime.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        f"main(['prepare', {str(family)!r}, '--prepared', {str(tmp_path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and re.match(r"Error: .*(cannot be saved there|cannot be prepared there)", done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_data_file_that_is_not_the_manifests_is_not_prepared(
    family: Path, forms: PreparedForms, tmp_path: Path
) -> None:
    copy = copy_family(family, tmp_path / "copy")
    data = copy / graph_data_path("int8")
    content = bytearray(data.read_bytes())
    content[100] ^= 1
    data.unlink()
    data.write_bytes(content)
    with pytest.raises(VerificationError, match=rf"{data}: its sha256 is \w+, the manifest has \w+"):
        made(copy, forms)
    with pytest.raises(VerificationError, match=r"its sha256 is \w+, the manifest has \w+"):
        opened(copy, forms).load(WHOLE)


def test_types_that_the_family_lacks_are_refused(family: Path) -> None:
    with pytest.raises(DocumentError, match="its manifest lists no graphs in int4"):
        read_source(family, read_manifest(family), "int4")
