"""`trimoe verify` on families with planted faults: what it names, its table, its document and its exit status."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import Result
from msgspec.structs import replace
from safetensors.torch import load_file, save_file

from exporter.verify import family_answers as verify_golden
from runtime.documents.manifest import dump_manifest, read_manifest
from runtime.documents.tensor_digests import read_tensor_digests
from tests.support.commands import trimoe
from tests.support.families import ModelFamilies, copy_family, export_plan, model_source, plan_model, without_loading
from tests.support.staged_variants import exchanged_layers

SHARD = "weights/block-02-layer-01.safetensors"
VARIANT = "variants/b3-k1"


@pytest.fixture
def exported(model_family: ModelFamilies) -> Path:
    """A folder with an OLMoE in `source` and its verified family in `family`."""
    return model_family("olmoe")[1].parent


@pytest.fixture
def family(exported: Path, tmp_path: Path) -> Path:
    """A copy of the family, hard links kept, to be damaged."""
    return copy_family(exported / "family", tmp_path / "family")


def run(*arguments: object) -> Result:
    with patch.object(verify_golden, "check_loads", without_loading):
        return trimoe("verify", *arguments)


def text(result: Result) -> str:
    """The output with its line breaks undone."""
    return " ".join(result.output.split())


def rewrite(path: Path, data: bytes) -> None:
    """Other contents under all names of the file."""
    with path.open("r+b") as stream:
        stream.write(data)
        stream.truncate()


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    rewrite(path, bytes(data))


def record_again(folder: Path) -> None:
    """Make the manifest agree with the files there are, as one who edits a family on purpose would."""
    manifest = read_manifest(folder)
    files = []
    for record in manifest.files:
        data = (folder / record.path).read_bytes()
        files.append(replace(record, size=len(data), sha256=hashlib.sha256(data).hexdigest()))
    (folder / "manifest.json").write_bytes(dump_manifest(replace(manifest, files=tuple(files))))


def edit_json(path: Path, **changes: object) -> None:
    path_data = {**json.loads(path.read_text("utf-8")), **changes}
    path.unlink()
    path.write_text(json.dumps(path_data), "utf-8")


def edit_config(folder: Path, **changes: object) -> None:
    edit_json(folder / VARIANT / "config.json", **changes)
    record_again(folder)


@pytest.mark.parametrize("width", [None, 80, 60])
def test_an_untouched_family_passes_with_a_table_that_fits_the_terminal(
    width: int | None, family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.commands.verify.terminal_width", lambda stream: width)
    result = run(family)
    assert result.exit_code == 0, result.output
    assert "logits passed 6 variants: bitwise equal to the golden outputs" in text(result)
    assert "structure passed 6 variants: config, index, tensors and source blocks agree" in text(result)
    assert "verified (" in text(result) and "NOT" not in text(result)
    lines = [line for line in result.output.splitlines() if str(family) not in line]
    assert all(len(line) <= width for line in lines) if width else not any(line.startswith(" ") for line in lines)


def test_with_the_source_its_tensors_and_the_masked_original_are_compared(family: Path, exported: Path) -> None:
    result = run(family, "--source", exported / "source", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["format"] == "trimoe.verification" and document["verified"] is True
    names = [check["name"] for check in document["checks"]]
    assert names[:6] == ["manifest", "files", "digests", "structure", "code", "source"]
    assert names.count("masked source") == names.count("logits") == names.count("loads") == 6


def test_one_variant_can_be_verified_alone(family: Path) -> None:
    flip(family / "weights/block-03-layer-03.safetensors", 6000)  # not part of b3-k1
    result = run(family, "--variant", "b3-k1")
    assert result.exit_code == 0, result.output
    assert "logits passed b3-k1: bitwise equal" in text(result)
    assert run(family).exit_code == 1


def test_an_unknown_variant_is_refused(family: Path) -> None:
    result = run(family, "--variant", "b9")
    assert result.exit_code == 1
    assert "no variant 'b9' in this family; it has b5-k4" in text(result)


def test_no_logits_leaves_the_answers_out(family: Path) -> None:
    result = run(family, "--no-logits")
    assert result.exit_code == 0
    assert "logits skipped --no-logits was given" in text(result)


def test_lost_hard_links_are_reported_and_no_damage(family: Path) -> None:
    copy = shutil.copytree(family, family.parent / "copy")
    result = run(copy, "--no-logits")
    assert result.exit_code == 0
    assert "none missing, none extra; " in text(result) and "are copies where links were" in text(result)


def tensor_of(folder: Path, number: int) -> tuple[str, int, int]:
    shard = next(shard for shard in read_tensor_digests(folder) if shard.path == SHARD)
    tensor = shard.tensors[number]
    return tensor.name, tensor.begin, tensor.end


def test_a_flipped_byte_is_named_by_file_tensor_and_range(family: Path) -> None:
    name, begin, end = tensor_of(family, 5)
    flip(family / SHARD, begin + 3)
    result = run(family)
    assert result.exit_code == 1
    assert (
        f"digests failed weights/block-02-layer-01.safetensors: tensor {name} (bytes {begin}–{end}) differs from "
        "what was written"
    ) in text(result)
    assert "logits skipped not run, because of: digests" in text(result)
    assert "NOT verified" in text(result)


def test_a_flipped_byte_of_the_header_is_named_as_such(family: Path) -> None:
    _, begin, _ = tensor_of(family, 0)
    flip(family / SHARD, begin - 1)
    result = run(family, "--no-logits")
    assert result.exit_code == 1
    assert f"the header (bytes 0–{begin}) is not what was written" in text(result)


def test_a_truncated_file_is_named_with_the_tensor_it_ends_in(family: Path) -> None:
    name, begin, end = tensor_of(family, 4)
    rewrite(family / SHARD, (family / SHARD).read_bytes()[: begin + 10])
    result = run(family, "--no-logits")
    assert result.exit_code == 1
    assert f"{begin + 10} bytes, " in text(
        result
    ) and f"recorded: cut inside tensor {name} (bytes {begin}–{end})" in text(result)


def swap_shards(folder: Path) -> None:
    """The weights of two layers change places under the right names; tensors.json is left as it was."""
    paths = [folder / "weights/block-02-layer-01.safetensors", folder / "weights/block-04-layer-02.safetensors"]
    for path, tensors in zip(paths, exchanged_layers(*paths), strict=True):
        scratch = folder.parent / "scratch.safetensors"
        save_file(tensors, scratch, {"format": "pt"})
        rewrite(path, scratch.read_bytes())
    record_again(folder)


def exchange_names(folder: Path) -> None:
    """Two shards of a variant change names."""
    first, second = (folder / VARIANT / f"model-0000{n}-of-00004.safetensors" for n in (2, 3))
    first.rename(folder / "aside")
    second.rename(first)
    (folder / "aside").rename(second)


def edit_golden(folder: Path) -> None:
    path = folder / "golden/b3-k1.safetensors"
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    flip(path, begin + header["logits"]["data_offsets"][0] + 2)
    record_again(folder)


def edit_code(folder: Path) -> None:
    path = folder / VARIANT / "modeling_trimoe_per_layer_top_k.py"
    rewrite(path, path.read_bytes() + b"# edited\n")
    record_again(folder)


def add_code(folder: Path) -> None:
    (folder / VARIANT / "more.py").write_text("", "utf-8")


def say_other_blocks(folder: Path) -> None:
    manifest = read_manifest(folder)
    variants = tuple(replace(v, layers=(0, 1, 4), removed=(2, 3)) if v.id == "b3-k1" else v for v in manifest.variants)
    (folder / "manifest.json").write_bytes(dump_manifest(replace(manifest, variants=variants)))


def drop_from_index(folder: Path) -> None:
    path = folder / VARIANT / "model.safetensors.index.json"
    weight_map = json.loads(path.read_text("utf-8"))["weight_map"]
    del weight_map["model.layers.2.mlp.gate.weight"]
    edit_json(path, weight_map=weight_map)
    record_again(folder)


def config_with(**changes: object) -> Callable[[Path], None]:
    """A fault of a variant's config that the manifest has recorded."""
    return lambda folder: edit_config(folder, **changes)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(
            lambda f: (f / VARIANT / "config.json").unlink(),
            "files failed 1 of 71 files missing, first variants/b3-k1/config.json: copied in part",
            id="missing file",
        ),
        pytest.param(
            lambda f: (f / "weights/more").write_bytes(b""),
            "files failed 1 file that manifest.json does not list, first weights/more",
            id="extra file",
        ),
        pytest.param(
            lambda f: (f / "link").symlink_to(f / "weights"),
            "files failed 1 file that manifest.json does not list, first link",
            id="extra link",
        ),
        pytest.param(
            lambda f: edit_json(f / VARIANT / "config.json", note=1),
            "digests failed variants/b3-k1/config.json: 946 bytes, 1046 recorded",
            id="other size",
        ),
        pytest.param(
            exchange_names,
            "but the manifest records different contents|is not what was written|bytes, .* recorded",
            id="names exchanged",
        ),
        pytest.param(
            config_with(top_k_per_layer=[4, 1, 2]),
            r"top_k_per_layer is \[4, 1, 2\], the manifest implies \[4, 1, 1\]",
            id="wrong list",
        ),
        pytest.param(
            config_with(top_k_per_layer=None),
            r"top_k_per_layer is None, the manifest implies \[4, 1, 1\]",
            id="no list",
        ),
        pytest.param(
            config_with(num_hidden_layers=5), "num_hidden_layers is 5, the manifest implies 3", id="stale depth"
        ),
        pytest.param(
            config_with(model_type="olmoe"),
            "model_type is 'olmoe', the manifest implies 'trimoe_olmoe'",
            id="source's type",
        ),
        pytest.param(
            config_with(num_experts_per_tok=1), "num_experts_per_tok is 1, the manifest implies 4", id="scalar top_k"
        ),
        pytest.param(
            config_with(auto_map={"AutoConfig": "x.Y"}), "auto_map is .*the manifest implies", id="other code named"
        ),
        pytest.param(
            drop_from_index,
            r"tensor model.layers.2.mlp.gate.weight is in .*, the index says no file",
            id="index lacks a tensor",
        ),
        pytest.param(
            swap_shards,
            r"structure failed .*(tensors.json does not know this file|b3-k4: bytes is \d+, its tensors have)",
            id="swapped shards",
        ),
        pytest.param(
            say_other_blocks, "was cut from model.layers.2..*, but layer 1 is source block 1", id="other blocks claimed"
        ),
        pytest.param(
            edit_code,
            "code failed .*modeling_trimoe_per_layer_top_k.py: not the modeling file of trimoe",
            id="edited code",
        ),
        pytest.param(add_code, "code failed .*Python files .*more.py", id="added code"),
        pytest.param(
            edit_golden,
            r"logits failed b3-k1: variant b3-k1: logits differ from golden/b3-k1.safetensors",
            id="edited golden",
        ),
    ],
)
def test_a_planted_fault_is_found_although_digests_may_agree(
    fault: Callable[[Path], object], said: str, family: Path
) -> None:
    fault(family)
    result = run(family)
    assert result.exit_code == 1, result.output
    assert re.search(said, text(result)), text(result)


def remove_half(folder: Path) -> Path:
    (folder / "manifest.json").unlink()
    shutil.rmtree(folder / "golden")
    return folder


def empty(folder: Path) -> Path:
    (folder.parent / "empty").mkdir()
    return folder.parent / "empty"


def break_manifest(folder: Path) -> Path:
    (folder / "manifest.json").write_text("{", "utf-8")
    return folder


@pytest.mark.parametrize(
    ("choose", "said"),
    [
        pytest.param(lambda f: f / "nowhere", "nowhere: no such folder", id="no folder"),
        pytest.param(lambda f: f / "manifest.json", "manifest.json: not a folder", id="a file"),
        pytest.param(
            lambda f: f / VARIANT,
            f"family: give that folder and --variant {VARIANT.rpartition('/')[2]}",
            id="a variant",
        ),
        pytest.param(
            remove_half,
            "no manifest.json: an unfinished copy of a family, or one whose manifest was lost",
            id="no manifest",
        ),
        pytest.param(empty, "no manifest.json: not a family that trimoe exported", id="an empty folder"),
        pytest.param(break_manifest, "manifest.json: line 1 column 2", id="a broken manifest"),
    ],
)
def test_what_is_no_whole_family_is_said_clearly(choose: Callable[[Path], Path], said: str, family: Path) -> None:
    result = run(choose(family))
    assert result.exit_code == 1
    assert said in text(result)
    assert "Traceback" not in result.output


def test_a_family_without_golden_outputs_says_so(tmp_path: Path) -> None:
    export_plan(plan_model("llama", model_source("llama", tmp_path / "source")), tmp_path / "family")
    result = run(tmp_path / "family")
    assert result.exit_code == 0
    assert "logits skipped 3 variants: no golden outputs: exported with --no-logits" in text(result)
    assert run(tmp_path / "family", "--source", tmp_path / "source").exit_code == 0


def test_another_source_is_named_by_tensor(family: Path, tmp_path: Path) -> None:
    source = model_source("olmoe", tmp_path / "other")
    path = sorted(source.glob("*.safetensors"))[3]
    tensors = load_file(path)
    first = min(tensors)
    tensors[first] = tensors[first] + 1
    save_file(tensors, path, {"format": "pt"})
    result = run(family, "--source", source, "--no-logits")
    assert result.exit_code == 1
    assert f"{path.name}: tensor {first} (bytes " in text(result)
    assert "is not what the family was cut from" in text(result)


def test_a_source_with_an_edited_config_is_named(family: Path, exported: Path, tmp_path: Path) -> None:
    source = shutil.copytree(exported / "source", tmp_path / "source")
    edit_json(source / "config.json", rms_norm_eps=0.5)
    result = run(family, "--source", source, "--no-logits")
    assert result.exit_code == 1
    assert "config.json or the file headers are others" in text(result)


def test_help_says_what_is_verified() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "--source" in result.output and "Verify the family at DIR" in result.output


def test_the_command_loads_torch_only_to_run_variants() -> None:
    code = "import sys, exporter.commands.verify; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_added_empty_folder_is_named(family: Path) -> None:
    (family / "weights" / "more").mkdir()
    result = run(family, "--no-logits")
    assert result.exit_code == 1
    assert "files failed 1 empty folder that manifest.json does not list, first weights/more" in text(result)


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path / ("x" * 300))
    assert result.exit_code == 1
    assert "cannot be read: File name too long" in text(result)


@pytest.mark.parametrize("place", ["", "variants/b3-k1"])
def test_a_folder_that_must_not_be_read_is_named(place: str, family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = str(family / place) if place else str(family)

    def refusing(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *arguments: Any) -> Any:
            if str(path).rstrip("/") == closed:
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *arguments)

        return call

    monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    monkeypatch.setattr(os, "listdir", refusing(os.listdir))
    result = run(family, "--no-logits")
    assert result.exit_code == 1
    assert f"{place or 'family'}: cannot be read: Permission denied" in text(result)


def test_paths_of_the_source_are_not_cut(family: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shutil.copytree(exported / "source", family.parent / "base2")
    path = sorted(source.glob("*.safetensors"))[3]
    flip(path, path.stat().st_size - 1)
    monkeypatch.chdir(family)
    result = run(".", "--source", "../base2", "--no-logits")
    assert result.exit_code == 1
    assert f"source failed ../base2/{path.name}: tensor " in text(result)
