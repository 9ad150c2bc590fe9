"""The study's data sets in their publishers' layouts: what is read, and what an error tells to download."""

import json
from pathlib import Path

import numpy as np
import pytest

from profiles.datasets.catalogue import LAYOUTS, load_layout
from profiles.datasets.dataset import Dataset, fill_prompt, scored_sample
from profiles.errors import DatasetError
from profiles.metrics.catalogue import check_samples, find_metric
from profiles.metrics.normalisation.cleanup import find_cleanup
from runtime.errors import DocumentError

COUNTED = {
    "question_id": 1,
    "question": "How many?",
    "answer": 3,
    "image": "VG_100K/9.jpg",
    "image_id": 9,
    "issimple": True,
}
QUESTION = {"question_id": 5, "image_id": 42, "question": "What is it?"}


def write(folder: Path, name: str, value: object) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def load(name: str, folder: Path, split: str | None = None) -> Dataset:
    return load_layout(LAYOUTS[name], folder, split)


def folders(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)


def vqa_folder(folder: Path, prefix: str) -> Path:
    answers = [{"answer": f"a{index}", "raw_answer": f"raw {index}"} for index in range(10)]
    write(folder, f"{prefix}OpenEnded_mscoco_val2014_questions.json", {"questions": [QUESTION]})
    write(folder, f"{prefix}mscoco_val2014_annotations.json", {"annotations": [{"question_id": 5, "answers": answers}]})
    (folder / "val2014").mkdir()
    return folder


@pytest.mark.parametrize(("name", "prefix", "first"), [("okvqa", "", "raw 0"), ("coco-2014-vqa", "v2_", "a0")])
def test_visualqa_questions_have_ten_answers_and_a_coco_image(
    tmp_path: Path, name: str, prefix: str, first: str
) -> None:
    dataset = load(name, vqa_folder(tmp_path, prefix))
    (sample,) = dataset.samples
    assert (sample.id, sample.question, sample.answers[0], len(sample.answers)) == ("5", "What is it?", first, 10)
    assert sample.image == tmp_path / "val2014" / "COCO_val2014_000000000042.jpg"
    assert dataset.settings.metric == "vqa_score/molmo"


def test_a_question_without_annotation_is_named(tmp_path: Path) -> None:
    write(vqa_folder(tmp_path, ""), "mscoco_val2014_annotations.json", {"annotations": []})
    with pytest.raises(DocumentError, match=r"questions\[0\].question_id: question 5 has no annotation"):
        load("okvqa", tmp_path)


def test_text_vqa(tmp_path: Path) -> None:
    entry = {"question_id": 7, "image_id": "0ab", "question": "What brand?", "answers": ["dell"] * 10}
    write(tmp_path, "TextVQA_0.5.1_val.json", {"data": [entry]})
    (tmp_path / "train_images").mkdir()
    (sample,) = load("text-vqa", tmp_path).samples
    assert (sample.id, sample.image, sample.answers) == ("7", tmp_path / "train_images" / "0ab.jpg", ("dell",) * 10)


def test_science_qa_takes_problems_with_an_image_and_asks_for_a_letter(tmp_path: Path) -> None:
    problem = {"question": "Which?", "hint": "Look.", "image": "image.png", "choices": ["cat", "dog"], "answer": 1}
    write(tmp_path, "problems.json", {"3": problem, "4": problem | {"image": None}, "5": problem | {"hint": ""}})
    write(tmp_path, "pid_splits.json", {"val": ["3", "4", "5"]})
    folders(tmp_path, "images/val/3", "images/val/5")
    dataset = load("science-qa-img", tmp_path)
    first, second = dataset.samples
    assert first.image == tmp_path / "images" / "val" / "3" / "image.png"
    assert fill_prompt(dataset.settings.prompt, first) == "science_qa: Look.\nWhich?\nA: cat\nB: dog\n"
    assert fill_prompt(dataset.settings.prompt, second) == "science_qa: Which?\nA: cat\nB: dog\n"
    assert scored_sample(dataset.settings.prompt, first).options == ("A", "B")


def test_tally_qa_answers_are_digits(tmp_path: Path) -> None:
    write(tmp_path, "test.json", [COUNTED])
    folders(tmp_path, "VG_100K")
    (sample,) = load("tally-qa", tmp_path).samples
    assert (sample.answers, sample.image) == (("3",), tmp_path / "VG_100K" / "9.jpg")


def test_tally_qa_ids_that_come_again_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path, "test.json", [COUNTED, COUNTED, COUNTED | {"question_id": 2}])
    folders(tmp_path, "VG_100K")
    assert [sample.id for sample in load("tally-qa", tmp_path).samples] == ["1", "1#2", "2"]


def test_a_missing_folder_of_images_says_what_to_download(tmp_path: Path) -> None:
    write(tmp_path, "test.json", [COUNTED])
    with pytest.raises(
        DatasetError, match=r"tally-qa: the folder of images .*VG_100K is missing; download tallyqa.zip from https://"
    ):
        load("tally-qa", tmp_path)


def test_tally_qa_images_stay_inside_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "test.json", [{"question_id": 1, "question": "How many?", "answer": 3, "image": "../9.jpg"}])
    with pytest.raises(DocumentError, match=r"\[0\].image: '../9.jpg' is not a plain relative path"):
        load("tally-qa", tmp_path)


def test_scene_text_validation_is_drawn_from_training_as_molmo_draws_it(tmp_path: Path) -> None:
    entries = [
        {"question_id": number, "question": "?", "file_path": f"coco-text/{number}.jpg", "answers": ["x"]}
        for number in range(2000)
    ]
    write(tmp_path, "train_task_3.json", {"data": entries[::-1]})
    folders(tmp_path, "coco-text")
    expected = list(range(2000))
    np.random.RandomState(63069).shuffle(expected)
    validation, training = load("st-qa", tmp_path), load("st-qa", tmp_path, "train")
    assert [int(sample.id) for sample in validation.samples] == expected[:1024]
    assert [int(sample.id) for sample in training.samples] == expected[1024:]


@pytest.mark.parametrize("root", ["", "train", "train_imgs"])
def test_scene_text_images_lie_beside_the_questions_or_in_the_folder_they_are_unpacked_to(
    tmp_path: Path, root: str
) -> None:
    entry = {"question_id": 3, "question": "?", "file_path": "coco-text/a.jpg", "answers": ["x"]}
    write(tmp_path, "train_task_3.json", {"data": [entry]})
    write(tmp_path / root, "coco-text/a.jpg", "image")
    (sample,) = load("st-qa", tmp_path).samples
    assert sample.image == tmp_path / root / "coco-text" / "a.jpg"


@pytest.mark.parametrize(
    ("questions", "image"),
    [
        ("val_v1.0_withQT.json", "documents/a_1.png"),
        ("spdocvqa_qas/val_v1.0_withQT.json", "spdocvqa_images/a_1.png"),
        ("val/val_v1.0.json", "val/documents/a_1.png"),
    ],
)
def test_doc_qa_in_each_layout_its_challenge_has_had(tmp_path: Path, questions: str, image: str) -> None:
    entry = {
        "questionId": 2,
        "question": "Which date?",
        "image": "documents/a_1.png",
        "answers": ["1/8/93"],
        "question_types": ["form"],
        "docId": 7,
    }
    write(tmp_path, questions, {"dataset_name": "docvqa", "data": [entry]})
    write(tmp_path, image, "image")
    (sample,) = load("doc-qa", tmp_path).samples
    assert (sample.image, sample.answers) == (tmp_path / image, ("1/8/93",))


def test_doc_qa(tmp_path: Path) -> None:
    entry = {
        "questionId": 2,
        "question": "Which date?",
        "image": "documents/a_1.png",
        "answers": ["1/8/93", "1/8/1993"],
    }
    write(tmp_path, "val_v1.0_withQT.json", {"data": [entry]})
    (tmp_path / "documents").mkdir()
    dataset = load("doc-qa", tmp_path)
    assert dataset.samples[0].answers == ("1/8/93", "1/8/1993")
    assert dataset.settings.metric == "ansl_em/study"


def test_captions_are_gathered_by_image(tmp_path: Path) -> None:
    entries = [{"image_id": 9, "caption": "b"}, {"image_id": 3, "caption": "a"}, {"image_id": 9, "caption": "c"}]
    write(tmp_path, "annotations/captions_val2014.json", {"annotations": entries})
    (tmp_path / "val2014").mkdir()
    dataset = load("coco-caption", tmp_path)
    assert [(sample.id, sample.references) for sample in dataset.samples] == [("3", ("a",)), ("9", ("b", "c"))]
    assert fill_prompt(dataset.settings.prompt, dataset.samples[0]) == "coco_captioning:"


@pytest.mark.parametrize(
    ("split", "ids"), [("karpathy-test", ["9"]), ("karpathy-validation", ["3"]), ("karpathy-train", ["7", "8"])]
)
def test_captions_in_karpathys_splits(tmp_path: Path, split: str, ids: list[str]) -> None:
    parts = {9: "test", 3: "val", 7: "train", 8: "restval"}
    images = [
        {
            "filepath": "val2014",
            "filename": f"{number}.jpg",
            "cocoid": number,
            "split": part,
            "sentences": [{"raw": "a cat", "tokens": ["a", "cat"]}],
        }
        for number, part in parts.items()
    ]
    write(tmp_path, "dataset_coco.json", {"images": images, "dataset": "coco"})
    folders(tmp_path, "val2014")
    samples = load("coco-caption", tmp_path, split).samples
    assert [sample.id for sample in samples] == ids
    assert samples[0].references == ("a cat",)
    assert samples[0].image == tmp_path / "val2014" / f"{ids[0]}.jpg"


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_missing_file_says_what_to_download_and_where_it_goes(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    files = layout.files(layout.splits[0])
    with pytest.raises(DatasetError) as caught:
        load(name, tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{name}: {tmp_path / files[0][0]} is missing; download ")
    assert "https://" in text
    assert text.endswith(f"so that {tmp_path} holds {', '.join(' or '.join(names) for names in files)}")


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_has_a_known_metric_and_clean_up(name: str) -> None:
    settings = LAYOUTS[name].settings
    assert find_metric(settings.metric) and find_cleanup(settings.cleanup)


def test_the_metric_of_each_data_set_is_the_studys() -> None:
    assert {name: layout.settings.metric.partition("/")[0] for name, layout in LAYOUTS.items()} == {
        "okvqa": "vqa_score",
        "coco-2014-vqa": "vqa_score",
        "text-vqa": "vqa_score",
        "science-qa-img": "mc",
        "tally-qa": "em",
        "st-qa": "ansl_em",
        "doc-qa": "ansl_em",
        "coco-caption": "cider",
    }


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="tally-qa: no split 'validation'; the splits with answers are test, train"):
        load("tally-qa", tmp_path, "validation")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text("[{")
    with pytest.raises(DatasetError, match=r"test.json: not a JSON file"):
        load("tally-qa", tmp_path)


def test_loaded_samples_fit_their_metric(tmp_path: Path) -> None:
    dataset = load("okvqa", vqa_folder(tmp_path, ""))
    check_samples(find_metric(dataset.settings.metric), dataset.samples)
