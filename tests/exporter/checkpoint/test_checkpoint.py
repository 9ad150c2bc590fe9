"""Opening a checkpoint folder: every layout that is accepted, and each disagreement between its files."""

import json
import os
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from exporter.checkpoint.checkpoint import INDEX, open_checkpoint
from runtime.errors import CheckpointError, DocumentError
from tests.support.checkpoint_files import entry, raw_file, write_config, write_index, write_weights
from tests.support.tiny_checkpoints import tiny_config, tiny_tensors, write_checkpoint


def refused(folder: Path) -> str:
    with pytest.raises((CheckpointError, DocumentError)) as caught:
        open_checkpoint(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("shards", [1, 3])
def test_every_tensor_is_found_where_its_bytes_stand(shards: int, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=shards, seed=3)
    checkpoint = open_checkpoint(folder)
    expected = tiny_tensors(tiny_config(), seed=3)
    assert set(checkpoint.tensors) == set(expected)
    assert len(checkpoint.files) == shards
    for name, record in checkpoint.tensors.items():
        assert (folder / record.file).read_bytes()[record.begin : record.end] == expected[name].tobytes()
    assert checkpoint.config["num_hidden_layers"] == 6


def test_the_only_safetensors_file_may_have_any_name(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert [file.name for file in open_checkpoint(folder).files] == ["weights.safetensors"]


def test_a_complete_set_of_shards_needs_no_index(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=3)
    (folder / INDEX).unlink()
    assert len(open_checkpoint(folder).files) == 3
    (folder / "model-00002-of-00003.safetensors").unlink()
    assert "the files say that there are 3 shards, but number 2 is missing" in refused(folder)


def test_several_files_that_are_no_set_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    (folder / "b.safetensors").write_bytes(raw_file({}))
    assert "2 safetensors files (a.safetensors, b.safetensors" in refused(folder)


def test_an_index_beside_a_single_file_must_mean_it(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    names = load_file(folder / "model.safetensors")
    write_index(folder, dict.fromkeys(names, "model.safetensors"))
    assert len(open_checkpoint(folder).files) == 1
    (folder / "other.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    write_index(folder, dict.fromkeys(names, "other.safetensors"))
    assert "are both there and name different files" in refused(folder)


def test_links_as_in_a_hub_cache_are_followed(tmp_path: Path) -> None:
    blobs, folder = write_checkpoint(tmp_path / "blobs", shards=2), tmp_path / "snapshot"
    folder.mkdir()
    for file in blobs.iterdir():
        (folder / file.name).symlink_to(file)
    assert set(open_checkpoint(folder).tensors) == set(open_checkpoint(blobs).tensors)


def test_a_wrong_total_size_does_not_matter_and_unlisted_files_are_not_read(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    (folder / "consolidated.safetensors").write_bytes(b"no safetensors at all")
    assert len(open_checkpoint(folder).files) == 2


def test_small_companion_files_are_carried_and_code_and_cards_are_not(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    carried = [
        "LICENSE.md",
        "chat_template.jinja",
        "generation_config.json",
        "merges.txt",
        "preprocessor_config.json",
        "tokenizer.json",
    ]
    carried += ["tokenizer.model", "tokenizer_config.json", "vocab.json"]
    left = [
        "README.md",
        "modeling_x.py",
        "tokenizer_x.py",
        "tokenizer.pkl",
        "model.gguf",
        "pytorch_model.bin",
        "vocab.safetensors.bin",
    ]
    for name in (*carried, *left):
        (folder / name).write_bytes(b"{}")
    (folder / "tokenizer").mkdir()
    assert open_checkpoint(folder).auxiliary == tuple(sorted(carried))


def test_the_index_and_the_shards_must_agree(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    write_index(folder, weight_map | {"model.extra.weight": "model-00002-of-00002.safetensors"})
    assert (
        'tensor "model.extra.weight" should be in model-00002-of-00002.safetensors, but that file does not hold it'
        in refused(folder)
    )
    without = {name: shard for name, shard in weight_map.items() if name != "lm_head.weight"}
    write_index(folder, without)
    assert f'tensor "lm_head.weight" is in the file but not in {INDEX}' in refused(folder)
    write_index(folder, weight_map | {"lm_head.weight": "model-00001-of-00002.safetensors"})
    assert "should be in model-00001-of-00002.safetensors, but is in model-00002-of-00002.safetensors" in refused(
        folder
    )


def test_a_tensor_in_two_shards_names_both(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    second = load_file(folder / "model-00002-of-00002.safetensors")
    first = load_file(folder / "model-00001-of-00002.safetensors")
    save_file(
        second | {"model.embed_tokens.weight": first["model.embed_tokens.weight"]},
        folder / "model-00002-of-00002.safetensors",
    )
    (folder / INDEX).unlink()
    assert "is in two files, model-00001-of-00002.safetensors and model-00002-of-00002.safetensors" in refused(folder)


@pytest.mark.parametrize(
    ("shard", "phrase"),
    [
        ("../m/model.safetensors", "not a plain file name inside the folder"),
        ("/etc/passwd", "not a plain file name inside the folder"),
        ("..", "not a plain file name"),
        ("a\\b.safetensors", "not a plain file name"),
        ("a\0.safetensors", "not a plain file name"),
        ("", "not a plain file name"),
        ("pytorch_model.bin", "not a .safetensors file"),
        ("gone.safetensors", "the shard gone.safetensors is missing"),
        ("x" * 300 + ".safetensors", "is missing"),
        (3, "expected a string, found the number 3"),
    ],
)
def test_a_shard_name_must_be_a_file_of_the_folder(shard: object, phrase: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    write_config(folder, tiny_config())
    write_index(folder, {"lm_head.weight": shard})
    message = refused(folder)
    assert phrase in message
    assert 'weight_map["lm_head.weight"]' in message


def test_an_empty_index_and_a_config_that_is_no_object_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    write_index(folder, {})
    assert "names no tensor" in refused(folder)
    (folder / "config.json").write_text("[]")
    assert "expected an object, found a list of 0" in refused(folder)


def test_pickles_are_refused_with_the_way_to_convert_them(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    write_config(folder, tiny_config())
    (folder / "pytorch_model.bin").write_bytes(b"PK")
    message = refused(folder)
    assert "the weights are pickles (pytorch_model.bin)" in message
    assert "safetensors.torch.save_file" in message


def test_folders_that_are_no_source_say_what_they_are(tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "none")
    assert "no config.json" in refused(tmp_path)
    (tmp_path / "file").write_text("x")
    assert "a file; give the checkpoint folder" in refused(tmp_path / "file")
    (tmp_path / "variants").mkdir()
    (tmp_path / "manifest.json").write_text("{}")
    assert "this is a family that trimoe exported" in refused(tmp_path)
    write_config(tmp_path, tiny_config("trimoe_olmoe"))
    assert "already a trimoe variant" in refused(tmp_path)
    write_config(tmp_path, tiny_config())
    assert "no safetensors file: expected model.safetensors" in refused(tmp_path)


def test_a_truncated_shard_is_named_with_the_tensor(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    write_config(folder, tiny_config())
    write_weights(folder, tiny_tensors(tiny_config()))
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-10])
    assert f"but the file ends at {len(data) - 10}: truncated" in refused(folder)
    (folder / "model.safetensors").write_bytes(raw_file({"a": entry(0, 1)}, b"xy"))
    assert "belong to no tensor" in refused(folder)


def test_a_variant_of_a_family_is_no_source(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "variants" / "b5")
    assert open_checkpoint(folder).config
    (tmp_path / "manifest.json").write_text("{}")
    assert "a variant of the family" in refused(folder)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("tokenizer.json", b"{bad", "line 1 column 2: Expecting property name enclosed in double quotes"),
        ("tokenizer.json", b"", "line 1 column 1: Expecting value"),
        (
            "tokenizer.json",
            b'{"model": {"vocab": {"a": 0, "a": 1}}}',
            'model.vocab: the key "a" occurs twice in one object',
        ),
        ("generation_config.json", b"{bad", "line 1 column 2: Expecting property name enclosed in double quotes"),
        ("generation_config.json", b"[]", "expected an object, found a list of 0"),
        ("special_tokens_map.json", b"\xff\xfe", "byte 0: not UTF-8 text"),
        ("added_tokens.json", b'{"<a>": NaN}', '["<a>"]: NaN is not a JSON number'),
        ("vocab.json", b'{"a": 0', "line 1 column 8: Expecting ',' delimiter"),
        ("tokenizer_extra.json", b"[1,]", "line 1 column 4: "),
    ],
)
def test_a_broken_json_file_that_would_be_carried_is_refused_with_its_place(
    name: str, data: bytes, said: str, tmp_path: Path
) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / name).write_bytes(data)
    assert f"{folder / name}: {said}" in refused(folder)


def test_what_tokenizer_files_really_hold_is_carried(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    names = {f"\u0120word{number}": number for number in range(50_000)}
    merges = [[f"a{number}", "\U0001f600"] for number in range(50_000)]
    document = {
        "added_tokens": [{"id": 1, "content": "<s>"}],
        "model": {"type": "BPE", "vocab": names, "merges": merges, "unk": None},
    }
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1000000000000000019884624838656}', "utf-8")
    (folder / "vocab_list.json").write_text('["a", -3.5e-7]', "utf-8")
    assert open_checkpoint(folder).auxiliary == ("tokenizer.json", "tokenizer_config.json", "vocab_list.json")


def test_a_folder_or_pipe_in_place_of_a_carried_file_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    path = folder / "tokenizer.json"
    path.mkdir()
    assert f"{path}: a folder, and a file of this name travels with every variant" in refused(folder)
    path.rmdir()
    os.mkfifo(path)
    assert f"{path}: not a regular file" in refused(folder)


def test_small_files_that_cannot_be_carried_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "tokenizer_folder").mkdir()
    assert open_checkpoint(folder).auxiliary == ()
    link = folder / "tokenizer.json"
    link.symlink_to("nowhere")
    assert f"{link}: cannot be read: No such file" in refused(folder)
    link.unlink()
    link.symlink_to("tokenizer.json")
    assert f"{link}: cannot be read: Too many levels" in refused(folder)
    link.unlink()
    (folder / "tokenizer_config.json").write_text("[]")
    assert f"{folder / 'tokenizer_config.json'}: expected an object, found a list of 0" in refused(folder)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 5000000000\n"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer.model"])
def test_a_git_lfs_pointer_is_called_one(name: str, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / name).write_bytes(POINTER)
    assert f"{name}: a Git LFS pointer, not the file itself; run `git lfs pull`" in refused(folder)


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ("allenai/OLMoE-1B-7B-0924", "hf download allenai/OLMoE-1B-7B-0924 --local-dir OLMoE-1B-7B-0924"),
        ("https://huggingface.co/allenai/MolmoE-1B-0924", "hf download allenai/MolmoE-1B-0924 --local-dir MolmoE-1B"),
        ("./models/olmoe", "hf download models/olmoe"),
        ("/models/olmoe", None),
        ("../models", None),
        ("olmoe", None),
        ("a/b/c", None),
    ],
)
def test_the_id_of_a_hub_gets_the_command_that_downloads_it(
    given: str, command: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refused(Path(given))
    assert message.startswith(f"{Path(given)}: no such folder")
    assert command is None or command in message
    assert (command is None) == message.endswith("no such folder")


def test_weights_that_are_no_part_of_the_checkpoint_are_listed(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    assert open_checkpoint(folder).unused == ()
    for name in ("pytorch_model.bin", "adapter.safetensors", "olmoe.Q4.gguf", "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(b"x")
    assert open_checkpoint(folder).unused == ("adapter.safetensors", "olmoe.Q4.gguf", "pytorch_model.bin")
