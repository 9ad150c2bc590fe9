"""Splits and configurations of folders of Hugging Face datasets."""

from pathlib import Path

from profiles.datasets.hugging_face import parquet_splits


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
