"""Splits and configurations of folders of Hugging Face datasets."""

import importlib
from pathlib import Path

import pytest

from profiles.datasets.hugging_face import load_hugging_face, parquet_splits


def test_a_folder_of_several_configurations_asks_which(tmp_path: Path) -> None:
    for configuration in ("DocVQA", "InfographicVQA"):
        (tmp_path / configuration).mkdir()
        for split in ("validation", "test"):
            (tmp_path / configuration / f"{split}-00000-of-00001.parquet").touch()
    assert list(parquet_splits(tmp_path)) == [
        "DocVQA/test",
        "DocVQA/validation",
        "InfographicVQA/test",
        "InfographicVQA/validation",
    ]


def test_the_folder_data_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-00000-of-00001.parquet").touch()
    assert list(parquet_splits(tmp_path)) == ["train"]


def saved_parquet(folder: Path) -> None:
    """Two files of 40 and 25 rows, in groups of ten."""
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("datasets")
    importlib.import_module("pyarrow.parquet")
    for place, rows in enumerate((range(40), range(40, 65))):
        table = pyarrow.table({"question": [f"q{row}" for row in rows], "answers": [["x"]] * len(rows)})
        pyarrow.parquet.write_table(table, folder / f"train-{place:05}-of-00002.parquet", row_group_size=10)


@pytest.mark.parametrize("limit", [1, 7, 64, 65, 100])
def test_a_limit_takes_the_rows_that_all_of_them_cut_down_would_have(tmp_path: Path, limit: int) -> None:
    saved_parquet(tmp_path)
    every = load_hugging_face("mine", tmp_path, {}, None)
    assert load_hugging_face("mine", tmp_path, {}, None, limit=limit) == every.limited(limit)


def test_only_row_groups_with_wanted_rows_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved_parquet(tmp_path)
    kind = importlib.import_module("pyarrow.parquet").ParquetFile
    read, real = [], kind.read_row_group

    def counted(file: object, group: int) -> object:
        read.append(group)
        return real(file, group)

    monkeypatch.setattr(kind, "read_row_group", counted)
    load_hugging_face("mine", tmp_path, {}, None, limit=2)
    assert len(read) == 2
