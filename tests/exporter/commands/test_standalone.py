"""`trimoe standalone` and `trimoe verify` on what it writes."""

import json
from hashlib import sha256
from pathlib import Path

import onnxruntime
import pytest
from msgspec.structs import replace
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM

from runtime.documents.manifest import dump_manifest, read_manifest
from tests.support.commands import WITH_GRAPHS, trimoe
from tests.support.families import ModelFamilies
from tests.support.graph_families import write_graph_model


def checks(copy: Path, *more: str) -> dict[str, str]:
    """The outcome of every check of `trimoe verify`."""
    result = trimoe("verify", copy, "--json", *more)
    document = json.loads(result.stdout)
    assert result.exit_code == (not document["verified"])
    return {check["name"]: check["outcome"] for check in document["checks"]}


@pytest.fixture
def exported(model_family: ModelFamilies) -> Path:
    """A family with golden outputs; its source is beside it."""
    return model_family("olmoe")[1]


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    result = trimoe("standalone", exported, "--variant", "b3-k1", "--out", tmp_path / "copy")
    assert result.exit_code == 0, result.output
    return tmp_path / "copy"


def test_a_copy_is_loaded_as_it_is_and_verified_as_far_as_a_family(copied: Path, exported: Path) -> None:
    assert AutoModelForCausalLM.from_pretrained(copied, trust_remote_code=True).config.num_hidden_layers == 3
    passed = dict.fromkeys(("manifest", "files", "digests", "structure", "code", "logits", "loads"), "passed")
    assert checks(copied) == passed
    assert checks(copied, "--source", str(exported.parent / "source")) == passed | {
        "source": "passed",
        "masked source": "passed",
    }
    assert checks(copied, "--no-logits")["logits"] == "skipped"


def test_the_result_is_one_line_or_a_document(exported: Path, tmp_path: Path) -> None:
    line = trimoe("standalone", exported, "--variant", "b4-k4", "--out", tmp_path / "one").output
    assert line.startswith(f"Copied b4-k4 to {tmp_path / 'one'}: ") and line.endswith("every file as recorded.\n")
    document = json.loads(
        trimoe("standalone", exported, "--variant", "b4-k4", "--out", tmp_path / "two", "--json").output
    )
    assert (document["format"], document["variant"]) == ("trimoe.standalone", "b4-k4")
    assert document["folder"] == str(tmp_path / "two")


@pytest.mark.parametrize(
    ("file", "check", "named"),
    [
        ("model-00002-of-00004.safetensors", "digests", "model-00002-of-00004.safetensors: tensor model.layers.1."),
        ("config.json", "digests", "config.json: not what manifest.json records"),
        ("trimoe/golden/b3-k1.safetensors", "digests", "trimoe/golden/b3-k1.safetensors: not what"),
        ("trimoe/tensors.json", "digests", "trimoe/tensors.json: not what manifest.json records"),
        ("trimoe/manifest.json", "manifest", "trimoe/manifest.json"),
    ],
)
def test_a_changed_byte_is_named(copied: Path, file: str, check: str, named: str) -> None:
    data = bytearray((copied / file).read_bytes())
    data[-3] ^= 1
    (copied / file).write_bytes(data)
    document = json.loads(trimoe("verify", copied, "--json").stdout)
    assert not document["verified"]
    details = {found["name"]: found["detail"] for found in document["checks"] if found["outcome"] == "failed"}
    assert named in details[check]
    assert ".." not in details[check].replace("...", "")


def test_missing_and_added_files_are_named(copied: Path) -> None:
    (copied / "trimoe" / "golden" / "inputs.safetensors").rename(copied / "inputs.safetensors")
    assert checks(copied)["files"] == "failed"
    shown = " ".join(trimoe("verify", copied).output.split())
    assert "first trimoe/golden/inputs.safetensors" in shown


def test_answers_that_are_not_the_golden_ones_fail(copied: Path) -> None:
    """A copy whose documents agree with its files: weights that are recorded as they are, but are others."""
    path = copied / "trimoe" / "golden" / "b3-k1.safetensors"
    with safe_open(path, framework="numpy") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file({**tensors, "logits": tensors["logits"] + 1}, path, metadata)
    manifest = read_manifest(copied / "trimoe")
    files = tuple(
        replace(record, sha256=sha256(path.read_bytes()).hexdigest()) if record.path.startswith("golden/b3") else record
        for record in manifest.files
    )
    (copied / "trimoe" / "manifest.json").write_bytes(dump_manifest(replace(manifest, files=files)))
    found = checks(copied)
    assert (found["digests"], found["logits"]) == ("passed", "failed")


def test_graphs_come_along_with_their_data_and_their_golden_outputs(tmp_path: Path) -> None:
    write_graph_model(tmp_path / "source", "olmoe")
    export = ("export", tmp_path / "source", "--out", tmp_path / "family", "--remove", "2", "--remove", "1")
    assert trimoe(*export, "--top-k", "2", *WITH_GRAPHS, "--dtype", "float32,int8").exit_code == 0
    variant = read_manifest(tmp_path / "family").variants[1].id
    copy = ("standalone", tmp_path / "family", "--variant", variant, "--out", tmp_path / "copy", *WITH_GRAPHS)
    assert "no ONNX graphs in bfloat16; it has float32, int8" in trimoe(*copy, "--dtype", "bfloat16").output
    result = trimoe(*copy, "--dtype", "int8")
    assert result.exit_code == 0, result.output
    assert "with its ONNX graph in int8: " in result.output
    assert sorted(path.name for path in (tmp_path / "copy" / "onnx" / "int8").iterdir()) == [
        f"{variant}.onnx",
        "weights.int8.bin",
    ]
    assert not (tmp_path / "copy" / "onnx" / "float32").exists()
    onnxruntime.InferenceSession(str(tmp_path / "copy" / "onnx" / "int8" / f"{variant}.onnx"))
    found = checks(tmp_path / "copy")
    assert found["onnx int8 self-test"] == "passed" and set(found.values()) == {"passed"}
    data = tmp_path / "copy" / "onnx" / "int8" / "weights.int8.bin"
    data.write_bytes(data.read_bytes()[:-1] + b"?")
    assert checks(tmp_path / "copy")["digests"] == "failed"


def test_refusals_are_one_message(exported: Path, copied: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    for arguments, message in (
        ((exported, "--variant", "b9", "--out", tmp_path / "g"), "no variant 'b9' in this family; it has b5-k4, b5-k1"),
        ((tmp_path, "--variant", "b9", "--out", tmp_path / "g"), "no manifest.json: not a family that trimoe exported"),
        ((long, "--variant", "b3-k1", "--out", tmp_path / "g"), "File name too long"),
        ((exported, "--variant", "b3-k1", "--out", long), "File name too long"),
        ((exported, "--variant", "b3-k1", "--out", copied), "copy: exists and is not empty"),
        ((exported, "--variant", "b3-k1", "--out", exported / "new"), "inside the source"),
        ((exported, "--variant", "b3-k1", "--out", copied / "new"), f"inside the standalone variant {copied}"),
    ):
        result = trimoe("standalone", *arguments)
        assert result.exit_code == 1, result.output
        assert result.output.startswith("Error: ") and result.output.count("\n") == 1
        assert message in result.output
    assert "one variant" in trimoe("verify", copied, "--variant", "b3-k1").output


def test_a_variant_exported_without_logit_check_says_so(bare_family: Path, tmp_path: Path) -> None:
    assert trimoe("standalone", bare_family, "--variant", "b5-k1", "--out", tmp_path / "copy").exit_code == 0
    assert checks(tmp_path / "copy")["logits"] == "skipped"
    assert checks(tmp_path / "copy")["structure"] == "passed"


def test_nothing_is_exported_into_a_family(own_bare_family: Path, bare_family: Path) -> None:
    inside = own_bare_family / "variants" / "new"
    for command in (
        ("export", bare_family.parent / "source", "--remove", "1", "--no-logits", "--out", inside),
        ("synth", "--like", "bench", "--bytes", "9MB", "--out", inside),
        ("standalone", own_bare_family, "--variant", "b5-k1", "--out", inside),
    ):
        result = trimoe(*command)
        assert result.exit_code == 1
        assert f"{inside}: inside the" in result.output
        assert not inside.exists()
