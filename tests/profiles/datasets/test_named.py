"""Data sets a user names: JSON lines, Hugging Face folders, the demo, and what is refused."""

import base64
import io
import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

from profiles.datasets.changes import Changes
from profiles.datasets.dataset import Dataset, Settings, fill_prompt, scored_sample
from profiles.datasets.digits.dataset import DEMO_TASKS, SAMPLES, demo_dataset
from profiles.datasets.hugging_face import parquet_splits
from profiles.datasets.hugging_face_rows import read_row, read_texts
from profiles.datasets.json_lines import load_json_lines
from profiles.datasets.named import columns, load_named
from profiles.errors import DatasetError, MissingToolError
from profiles.sample import Sample, digest_samples
from runtime.errors import DocumentError


def bitmap(colour: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (3, 2), colour).save(buffer, format="PNG")
    return buffer.getvalue()


def lines(path: Path, *entries: dict) -> Path:
    path.write_text("\n".join(json.dumps(entry) for entry in entries) + "\n\n", "utf-8")
    return path


def test_json_lines_are_read_with_paths_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(bitmap())
    first = {"image": "a.png", "question": "Colour?", "answers": ["black"]}
    second = {
        "id": "x",
        "image_base64": base64.b64encode(bitmap(9)).decode(),
        "question": "And now?",
        "answers": ["grey", "gray"],
    }
    dataset = load_json_lines("mine", lines(tmp_path / "mine.jsonl", first, second))
    one, two = dataset.samples
    assert (one.id, one.image, one.image_size()) == ("1", tmp_path / "a.png", (3, 2))
    assert (two.id, two.image_bytes(), two.answers) == ("x", bitmap(9), ("grey", "gray"))
    assert two.open_image().mode == "RGB"
    assert dataset.settings.metric == "em/molmo"


@pytest.mark.parametrize(
    ("entry", "metric", "task"),
    [
        ({"answers": ["a"] * 3}, "vqa_score/molmo", "vqa"),
        ({"answers": ["a"]}, "em/molmo", "vqa"),
        ({"options": ["a", "b"], "answer_index": 1}, "mc/molmo", "multiple choice"),
        ({"references": ["a dog"]}, "cider/pycocoevalcap", "captioning"),
    ],
)
def test_the_metric_follows_from_what_the_samples_have(tmp_path: Path, entry: dict, metric: str, task: str) -> None:
    dataset = load_json_lines("mine", lines(tmp_path / "m.jsonl", {"question": "?"} | entry))
    assert (dataset.settings.metric, dataset.settings.task) == (metric, task)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"question": "?"}\n{"question": 3}', "line 2: question: expected a string, found the number 3"),
        ('{"answers": ["a"]}', 'line 1: the key "question" is missing'),
        ('{"question": "?", "answer": "a"}', r'line 1: \["answer"\]: unknown key; the keys are id, image'),
        ('{"question": "?", "image": "a", "image_base64": "b"}', "line 1: image and image_base64 are both given"),
        ('{"question": "?", "image_base64": "%%"}', "line 1: image_base64: not base64"),
        ('{"question": "?", "answer_index": -1}', "line 1: answer_index: -1 is below the least allowed, 0"),
        ("{", "line 1: line 1 column 2"),
    ],
)
def test_a_wrong_line_is_named_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(text)
    with pytest.raises(DocumentError, match=message):
        load_json_lines("mine", path)


def test_an_empty_file_and_equal_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no samples"):
        load_json_lines("mine", lines(tmp_path / "m.jsonl"))
    with pytest.raises(DatasetError, match="mine: two samples have the id '2'"):
        load_json_lines("mine", lines(tmp_path / "m.jsonl", {"id": "2", "question": "?"}, {"question": "?"}))
    with pytest.raises(DatasetError, match="cannot be read"):
        load_json_lines("mine", tmp_path / "absent.jsonl")


def test_images_that_cannot_be_read_are_named_with_their_sample() -> None:
    absent, broken = (
        Sample(id="7", question="?", image=Path("/nowhere/a.png")),
        Sample(id="8", question="?", image=b"nonsense"),
    )
    with pytest.raises(DatasetError, match=r"sample '7': the image /nowhere/a.png cannot be read"):
        digest_samples([absent])
    for call in (broken.open_image, broken.image_size):
        with pytest.raises(DatasetError, match="sample '8': the image given as bytes cannot be"):
            call()
    assert Sample(id="9", question="?").open_image() is None


def test_the_digest_names_content_and_order_but_not_places(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(bitmap())
    by_path, by_bytes = (
        Sample(id="1", question="?", image=tmp_path / "a.png"),
        Sample(id="1", question="?", image=bitmap()),
    )
    other = replace(by_bytes, answers=("x",))
    assert digest_samples([by_path]) == digest_samples([by_bytes])
    assert len({digest_samples(found) for found in ([by_bytes], [other], [by_bytes, other], [other, by_bytes])}) == 4


def test_templates_take_question_and_options_once_each() -> None:
    sample = Sample(id="1", question="{options}?", options=("a {question}", "b"))
    assert fill_prompt("Q: {question}\n{options}", sample) == "Q: {options}?\nA: a {question}\nB: b\n"
    assert scored_sample("{question}", sample) is sample
    with pytest.raises(DatasetError, match=r"has the field \{image\}; the fields are \{question\} and \{options\}"):
        Settings(task="vqa", metric="em/molmo", cleanup="cleanup/molmo", prompt="{image}", max_new_tokens=1)


def test_a_limit_takes_evenly_spaced_samples() -> None:
    dataset = demo_dataset("digits-vqa", 10)
    assert [sample.id for sample in dataset.limited(3).samples] == ["0", "3", "6"]
    assert dataset.limited(None) is dataset and dataset.limited(10) is dataset


def test_the_demo_has_five_held_out_data_sets() -> None:
    datasets = load_named(["demo"], Changes(limit=2))
    assert tuple(dataset.name for dataset in datasets) == DEMO_TASKS
    assert len({dataset.settings.task for dataset in datasets}) == 5
    assert SAMPLES == 400
    assert datasets[0].samples[0].image_size() == (32, 16)
    assert [dataset.name for dataset in load_named(["digits-mc"], Changes())] == ["digits-mc"]


def test_changes_apply_to_the_data_set_they_name(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", *({"question": "?", "answers": ["a"]} for _ in range(4)))
    (dataset,) = load_named(
        [f"mine={path}"],
        Changes(metrics={"mine": "anls/lmms"}, prompts={"mine": "Say {question}"}, max_new_tokens=5, limit=2),
    )
    assert (
        dataset.settings.metric,
        dataset.settings.prompt,
        dataset.settings.max_new_tokens,
        len(dataset.samples),
    ) == (
        "anls/lmms",
        "Say {question}",
        5,
        2,
    )


@pytest.mark.parametrize(
    ("texts", "changes", "message"),
    [
        (["mine"], Changes(), "--data mine: give demo, NAME=PATH or NAME:SPLIT=PATH"),
        (["mine:=x"], Changes(), "give demo, NAME=PATH"),
        (["mine=/nowhere"], Changes(), "/nowhere is neither a file nor a folder"),
        (["demo=/tmp"], Changes(), "the demo's data sets need no path"),
        (["demo", "digits-mc"], Changes(), "two data sets have the name 'digits-mc'"),
        (
            ["digits-mc"],
            Changes(metrics={"okvqa": "em/molmo"}),
            "--metric okvqa=…: no such data set; those given are digits-mc",
        ),
    ],
)
def test_data_that_is_not_there_is_refused(texts: list[str], changes: Changes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_named(texts, changes)


def test_a_folder_that_is_no_known_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"'mine' is none of the known data sets okvqa, "):
        load_named([f"mine={tmp_path}"], Changes())
    path = lines(tmp_path / "m.jsonl", {"question": "?"})
    with pytest.raises(DatasetError, match="a JSON-lines file has no splits"):
        load_named([f"mine:train={path}"], Changes())


class Rows(list):
    """Stands in for a table of the package `datasets`."""

    def __init__(self, rows: list[dict]) -> None:
        super().__init__(rows)
        self.column_names = list(rows[0])
        self.features = {name: SimpleNamespace() for name in self.column_names}

    def select_columns(self, names: list[str]) -> "Rows":
        return self


class OneRowFile(nullcontext[None]):
    """Stands in for an open parquet file."""

    num_rows = num_row_groups = 1

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.metadata = self

    def __enter__(self) -> "OneRowFile":
        return self

    def row_group(self, group: int) -> "OneRowFile":
        return self

    def read_row_group(self, group: int) -> list[None]:
        return [None]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("datasets")
    module.Image = type("Image", (), {"__init__": lambda self, decode=True: None})  # type: ignore[attr-defined]
    rows = Rows(
        [
            {
                "query": "Q?",
                "label": [{"answer": "a"}, {"answer": "b"}],
                "picture": {"bytes": bitmap(), "path": None},
                "key": 4,
            }
        ]
    )
    module.load_from_disk = lambda folder: {"validation": rows, "train": rows}  # type: ignore[attr-defined]
    module.Dataset = lambda table: rows  # type: ignore[attr-defined]
    module.table = SimpleNamespace(InMemoryTable=lambda table: table)  # type: ignore[attr-defined]
    arrow = ModuleType("pyarrow")
    arrow.ArrowException = type("ArrowException", (Exception,), {})  # type: ignore[attr-defined]
    arrow.concat_tables = list  # type: ignore[attr-defined]
    arrow.parquet = ModuleType("pyarrow.parquet")  # type: ignore[attr-defined]
    arrow.parquet.ParquetFile = OneRowFile  # type: ignore[attr-defined]
    for name, one in (("datasets", module), ("pyarrow", arrow), ("pyarrow.parquet", arrow.parquet)):
        monkeypatch.setitem(sys.modules, name, one)
    return module


MAPPING = "question:query,answers:label,image:picture,id:key"


def test_columns_of_a_hugging_face_folder_are_mapped(tmp_path: Path, package: ModuleType) -> None:
    (tmp_path / "dataset_dict.json").write_text("{}")
    (dataset,) = load_named([f"mine:validation={tmp_path}"], Changes(columns={"mine": MAPPING}))
    assert dataset.samples == (Sample(id="4", question="Q?", answers=("a", "b"), image=bitmap()),)


def test_parquet_files_are_read(tmp_path: Path, package: ModuleType) -> None:
    (tmp_path / "validation-0.parquet").write_bytes(b"")
    (dataset,) = load_named([f"mine={tmp_path}"], Changes(columns={"mine": MAPPING}))
    assert isinstance(dataset, Dataset) and dataset.samples[0].question == "Q?"


def test_splits_of_parquet_files_are_what_stands_before_their_numbers_or_their_folders(tmp_path: Path) -> None:
    names = (
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002-0a1b.parquet",
        "data/dev.parquet",
        "test/0000.parquet",
        "test/0001.parquet",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = {
        split: [path.relative_to(tmp_path).as_posix() for path in paths]
        for split, paths in parquet_splits(tmp_path).items()
    }
    assert found == {"dev": [names[2]], "train": list(names[:2]), "test": list(names[3:])}


def test_splits_of_parquet_files_are_never_mixed(tmp_path: Path, package: ModuleType) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}-00000-of-00001.parquet").write_bytes(b"")
    with pytest.raises(DatasetError, match="has the splits train, validation; name one as mine:SPLIT="):
        load_named([f"mine={tmp_path}"], Changes(columns={"mine": MAPPING}))
    assert load_named([f"mine:train={tmp_path}"], Changes(columns={"mine": MAPPING}))[0].name == "mine"


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, package: ModuleType) -> None:
    def fail(folder: str) -> None:
        raise FileNotFoundError("no arrow file")

    package.load_from_disk = fail  # type: ignore[attr-defined]
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"mine: .* cannot be read: no arrow file"):
        load_named([f"mine={tmp_path}"], Changes())


@pytest.mark.parametrize(
    ("value", "names", "expected"),
    [
        (None, (), ()),
        ("a", (), ("a",)),
        (3, (), ("3",)),
        (["a", 2], (), ("a", "2")),
        ([{"answer": "a", "answer_id": 1}, {"answer": "b", "answer_id": 2}], (), ("a", "b")),
        ({"answer": ["a", "b"], "answer_id": [1, 2]}, (), ("a", "b")),
        (1, ("cat", "dog"), ("dog",)),
        ([1, 0, -1], ("cat", "dog"), ("dog", "cat")),
    ],
)
def test_cells_hold_texts_in_the_shapes_that_data_sets_have(
    value: object, names: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert read_texts("row 0: answers", value, names) == expected


@pytest.mark.parametrize("value", [1.5, True, ["a", 2.0], {"text": ["a"]}, {"bytes": b"x", "path": None}, [["a"]]])
def test_cells_that_are_no_texts_are_refused(value: object) -> None:
    with pytest.raises(DatasetError, match="row 0: answers: expected texts, found "):
        read_texts("row 0: answers", value)


def test_a_list_of_images_is_taken_when_it_has_one() -> None:
    mapping = {"question": "q", "image": "images"}
    row = {"q": "?", "images": [{"bytes": b"x", "path": None}]}
    assert read_row("row 0", row, mapping, {}, 0).image == b"x"
    with pytest.raises(DatasetError, match="row 0: image: expected one image, found 2"):
        read_row("row 0", row | {"images": row["images"] * 2}, mapping, {}, 0)


def test_folders_that_the_package_itself_writes_are_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "question": datasets.Value("string"),
            "answers": datasets.Sequence(datasets.Value("string")),
            "kind": datasets.ClassLabel(names=["cat", "dog"]),
        }
    )
    values = {
        "image": [Image.new("RGB", (3, 2))] * 2,
        "question": ["a?", "b?"],
        "answers": [["x"] * 3] * 2,
        "kind": [1, 0],
    }
    rows = datasets.Dataset.from_dict(values, features=features)
    rows.save_to_disk(tmp_path / "saved")
    (tmp_path / "parquet").mkdir()
    rows.to_parquet(tmp_path / "parquet" / "test-00000-of-00001.parquet")
    saved, parquet = (load_named([f"mine={tmp_path / name}"], Changes())[0] for name in ("saved", "parquet"))
    assert digest_samples(saved.samples) == digest_samples(parquet.samples)
    assert saved.samples[0].image_size() == (3, 2)
    labels = load_named([f"mine={tmp_path / 'saved'}"], Changes(columns={"mine": "answers:kind"}))[0]
    assert [sample.answers for sample in labels.samples] == [("dog",), ("cat",)]


@pytest.mark.parametrize(
    ("text", "mapping", "message"),
    [
        ("mine", MAPPING, "has the splits validation, train; name one as mine:SPLIT="),
        (
            "mine:validation",
            "question:absent",
            "question is to come from the column 'absent', which .* lacks; it has key, label, picture, query",
        ),
        ("mine:validation", "answers:label", "no column for the question"),
        ("mine:validation", "title:query", "no field 'title' to map a column to; the fields are id, image"),
        ("mine:validation", "question:query,answer_index:label", "row 0: answer_index: expected an integer"),
        ("mine:validation", "question:key", "row 0: question: expected a string, found 4"),
        ("mine:validation", "question", "give field:column pairs"),
    ],
)
def test_wrong_columns_and_splits_are_named(
    tmp_path: Path, package: ModuleType, text: str, mapping: str, message: str
) -> None:
    (tmp_path / "dataset_dict.json").write_text("{}")
    with pytest.raises(DatasetError, match=message):
        load_named([f"{text}={tmp_path}"], Changes(columns={"mine": mapping}))


def test_without_the_package_a_hugging_face_folder_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingToolError, match="the package datasets is missing: pip install datasets"):
        load_named([f"mine={tmp_path}"], Changes())


def test_columns_are_pairs_between_commas() -> None:
    assert columns("question:q,answers:a") == {"question": "q", "answers": "a"}
    assert columns("") == {}
