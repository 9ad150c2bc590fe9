"""Prepared forms in their folder: there whole or not at all, for their own origin only, made by one at a time."""

import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from runtime.engines.machine import cache_folder
from runtime.engines.prepared import forms as module
from runtime.engines.prepared.document import DOCUMENT, PreparedDocument, read_prepared
from runtime.engines.prepared.forms import PreparedForms
from runtime.engines.trust import CheckRecords
from tests.support.prepared_families import built, origin


@pytest.fixture
def forms(tmp_path: Path) -> PreparedForms:
    return PreparedForms(folder=tmp_path / "prepared")


def make(forms: PreparedForms, **changes: object) -> Path:
    of = origin(**changes)
    return forms.make(of, partial(built, of=of)).folder


def visible(forms: PreparedForms) -> list[str]:
    return sorted(path.name for path in forms.place.iterdir() if path.name != ".lock")


def test_nothing_is_found_where_nothing_was_made(forms: PreparedForms) -> None:
    assert forms.find(origin()) is None and not forms.place.exists()


def test_what_was_made_is_found_and_not_made_again(forms: PreparedForms) -> None:
    folder = make(forms)
    found = forms.find(origin())
    assert found is not None and found.folder == folder and found.document == read_prepared(folder / DOCUMENT)
    assert forms.make(origin(), lambda _: pytest.fail("made again")) == found
    assert visible(forms) == [folder.name]


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "int4"},
        {"family": "d" * 64},
        {"data": "d" * 64},
        {"graphs": "d" * 64},
        {"onnxruntime": "1.32.0"},
        {"processor": ("x86_64", "avx2", "avx512_vnni")},
    ],
)
def test_another_origin_has_its_own(forms: PreparedForms, changes: dict[str, object]) -> None:
    folder = make(forms)
    assert forms.find(origin(**changes)) is None
    other = make(forms, **changes)
    assert folder != other and visible(forms) == sorted([folder.name, other.name])


def cut_off(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"packed")


def flip(folder: Path) -> None:
    data = bytearray((folder / "weights.bin").read_bytes())
    data[3] ^= 1
    (folder / "weights.bin").write_bytes(data)


def garble(folder: Path) -> None:
    (folder / DOCUMENT).write_text("{")


def swap(folder: Path) -> None:
    text = (folder / DOCUMENT).read_text().replace('"avx2"', '"sse2"')
    (folder / DOCUMENT).write_text(text)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_off, r"has 6 bytes, prepared\.json has 22"),
        (flip, r"its sha256 is \w+, prepared\.json has \w+"),
        (garble, r"prepared\.json"),
        (swap, r"is of another origin than its folder's name"),
        (lambda folder: (folder / "weights.bin").unlink(), None),
    ],
)
def test_a_damaged_one_is_not_used_and_made_anew(
    forms: PreparedForms, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None], said: str | None
) -> None:
    folder = make(forms)
    damage(folder)
    assert forms.find(origin()) is None
    if said is not None:
        assert re.search(f"is not used: .*{said}", caplog.text)
    assert make(forms) == folder and forms.find(origin()) is not None


def test_a_build_that_fails_leaves_nothing(forms: PreparedForms) -> None:
    def fail(folder: Path) -> PreparedDocument:
        built(folder, origin())
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        forms.make(origin(), fail)
    assert visible(forms) == []


def test_what_a_killed_build_left_is_removed_by_the_next(forms: PreparedForms) -> None:
    left = forms.place / ".staging" / "int8-0"
    left.mkdir(parents=True)
    (left / "weights.bin").write_bytes(b"half")
    folder = make(forms)
    assert visible(forms) == [folder.name]


def test_of_several_at_once_one_builds(forms: PreparedForms) -> None:
    of, built_in, found = origin(), [], []

    def build(folder: Path) -> PreparedDocument:
        built_in.append(folder)
        return built(folder, of)

    threads = [threading.Thread(target=lambda: found.append(forms.make(of, build))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built_in) == 1 and len(found) == 8 and len({one.folder for one in found}) == 1


def test_removing_takes_those_of_the_data_file_only(forms: PreparedForms) -> None:
    make(forms)
    make(forms, onnxruntime="1.32.0")
    other = make(forms, data="d" * 64)
    assert forms.remove("b" * 64) == 2 * 22
    assert visible(forms) == [other.name]
    assert forms.remove("b" * 64) == 0
    assert PreparedForms(folder=forms.place / "nowhere").remove("b" * 64) == 0


def test_a_digest_that_a_record_vouches_for_is_not_computed(
    forms: PreparedForms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(forms)
    records = CheckRecords(tmp_path / "records")
    assert forms.find(origin(), records) is not None
    monkeypatch.setattr(module.hashlib, "file_digest", lambda *_: pytest.fail("computed"))
    assert forms.find(origin(), records) is not None


def test_without_a_folder_they_are_among_the_users_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert PreparedForms().place == cache_folder() / "prepared" == tmp_path / "trimoe" / "prepared"
