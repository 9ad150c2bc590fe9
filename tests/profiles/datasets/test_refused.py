"""Data sets that cannot be measured as they are: images, options, names and packages, each refused with its own
message."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from profiles.accuracy.answerer import Answerer
from profiles.accuracy.evaluation.evaluate import EvalRequest, evaluate
from profiles.datasets.changes import Changes
from profiles.datasets.dataset import fill_prompt, scored_sample
from profiles.datasets.json_lines import load_json_lines
from profiles.datasets.named import load_named
from profiles.errors import DatasetError, MissingToolError
from profiles.reports.sample_progress import SampleProgress
from profiles.sample import Sample, digest_samples
from runtime.documents.baseline import FamilyRecord


def bitmap() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (3, 2)).save(buffer, format="PNG")
    return buffer.getvalue()


def lines(path: Path, *entries: dict) -> Path:
    path.write_text("\n".join(json.dumps(entry) for entry in entries), "utf-8")
    return path


@pytest.mark.parametrize(("most", "shown"), [(5, 5), (2, 4)])
def test_an_image_of_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch, most: int, shown: int) -> None:
    monkeypatch.setattr(
        Image, "MAX_IMAGE_PIXELS", most
    )  # of 3 × 2 pixels: Pillow warns above the limit and refuses above twice of it
    sample = Sample(id="7", question="?", image=bitmap(), dataset="mine")
    for call in (sample.open_image, sample.image_size):
        with pytest.raises(
            DatasetError,
            match=rf"^data set mine: sample '7': the image given as bytes cannot be .* exceeds limit of {shown} pixels",
        ):
            call()


def test_an_image_whose_contents_break_the_decoder_is_named() -> None:
    whole = bytearray(bitmap())
    whole[whole.index(b"IDAT") + 4] ^= 0xFF
    with pytest.raises(DatasetError, match=r"^sample '7': the image given as bytes cannot be decoded: "):
        Sample(id="7", question="?", image=bytes(whole)).open_image()


def test_an_image_path_with_a_zero_byte_is_refused(tmp_path: Path) -> None:
    (dataset,) = load_named(
        [f"mine={lines(tmp_path / 'm.jsonl', {'question': '?', 'image': 'a' + chr(0) + '.png'})}"], Changes()
    )
    for call in (dataset.samples[0].image_size, dataset.samples[0].image_bytes, dataset.samples[0].open_image):
        with pytest.raises(
            DatasetError, match=r"data set mine: sample '1': the image '.*a\\x00\.png' cannot be read: .*null"
        ):
            call()


def test_messages_about_samples_name_the_data_set(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", {"question": "?"}, {"question": "?", "image": "nope.png"})
    (dataset,) = load_named([f"mine={path}"], Changes())
    with pytest.raises(
        DatasetError,
        match=r"^data set mine: sample '2': the image .*nope\.png cannot be read: No such file or directory",
    ):
        digest_samples(dataset.samples)
    assert digest_samples(dataset.samples[:1]) == digest_samples([Sample(id="1", question="?")])


def test_more_options_than_letters_are_refused_only_where_the_prompt_lists_them(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "m.jsonl", {"question": "?", "options": [str(number) for number in range(27)], "answer_index": 26}
    )
    (listed,) = load_named([f"mine={path}"], Changes())
    for call in (fill_prompt, scored_sample):
        with pytest.raises(
            DatasetError,
            match=r"data set mine: sample '1' has 27 options: a prompt that lists them has letters for 26 at most",
        ):
            call(listed.settings.prompt, listed.samples[0])
    (plain,) = load_named([f"mine={path}"], Changes(prompts={"mine": "{question}"}))
    assert fill_prompt(plain.settings.prompt, plain.samples[0]) == "?"
    assert scored_sample(plain.settings.prompt, plain.samples[0]).options[26] == "26"
    most = replace(listed.samples[0], options=listed.samples[0].options[:26])
    assert fill_prompt("{options}", most).endswith("\nZ: 25\n")
    assert scored_sample("{options}", most).options[-1] == "Z"


def test_the_byte_order_mark_of_a_json_lines_file_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"question": "?"}\n')
    assert load_json_lines("mine", path).samples == (Sample(id="1", question="?"),)


@pytest.mark.parametrize("name", ["../../x", "a/b", "/x", "..", ".x", "-x", "a b", "é", "a\n", "x" * 101])
def test_a_name_that_could_leave_the_folder_of_results_is_refused(tmp_path: Path, name: str) -> None:
    path = lines(tmp_path / "m.jsonl", {"question": "?"})
    with pytest.raises(DatasetError, match="is not at most 100 letters, digits"):
        load_named([f"{name}={path}"], Changes())
    assert load_named([f"My_set-2.1={path}"], Changes())[0].name == "My_set-2.1"


def test_the_demo_without_scikit_learn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("profiles.datasets.digits.tasks", "profiles.datasets.digits.scans"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        MissingToolError,
        match=r"the package sklearn\.datasets is missing: pip install scikit-learn pillow, or trimoe with its extra \[",
    ):
        load_named(["demo"], Changes())


def test_more_options_than_letters_are_refused_before_anything_is_opened(tmp_path: Path) -> None:
    def opener(variant: str) -> Answerer:
        raise AssertionError(f"{variant} was opened")

    path = lines(
        tmp_path / "m.jsonl", {"question": "?", "options": [str(number) for number in range(27)], "answer_index": 0}
    )
    request = EvalRequest(
        family=FamilyRecord(name="f", digest="0" * 64, source_digest="0" * 64),
        variants=("v",),
        engines=(("torch", opener),),
        datasets=load_named([f"mine={path}"], Changes()),
        batch_size=2,
    )
    with pytest.raises(DatasetError, match=r"data set mine: sample '1' has 27 options"):
        evaluate(request, tmp_path / "baseline.json", SampleProgress(io.StringIO()))
    assert [one.name for one in tmp_path.iterdir()] == ["m.jsonl"]
