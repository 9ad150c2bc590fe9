"""Bad inputs from end to end: each is refused with its own message, names file or value, exits with 1 or 2, and shows
no traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from exporter.checkpoint.checkpoint import INDEX
from runtime.cli import main
from tests.support.checkpoint_files import entry, raw_file, write_config, write_index
from tests.support.evidence_documents import STUDY_SCORES, analysis, combination, recommendation, write_json
from tests.support.tiny_checkpoints import tiny_config, write_checkpoint

Arguments = list[Any]
Build = Callable[[Path], Arguments]
BLOCKS = 16
REMOVE = ["--remove", "4"]
TWO = {"okvqa": 0.02, "doc-qa": 0.04}


def model(folder: Path, family: str = "olmoe", **options: Any) -> Path:
    return write_checkpoint(folder / "model", family, blocks=BLOCKS, experts=2, **options)


def config(**fields: Any) -> Build:
    """A sound checkpoint whose config has these fields instead; None removes one."""

    def build(folder: Path) -> Arguments:
        edited = tiny_config(blocks=BLOCKS, experts=2) | fields
        write_config(model(folder), {key: value for key, value in edited.items() if value is not None})
        return REMOVE

    return build


def text_file(name: str, content: bytes, **options: Any) -> Build:
    """A sound checkpoint in which one file is overwritten by bytes."""

    def build(folder: Path) -> Arguments:
        (model(folder, **options) / name).write_bytes(content)
        return REMOVE

    return build


def index(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Build:
    """A sharded checkpoint whose weight map is changed."""

    def build(folder: Path) -> Arguments:
        path = model(folder, shards=2) / INDEX
        write_index(path.parent, change(json.loads(path.read_text())["weight_map"]))
        return REMOVE

    return build


def tensors(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Build:
    """A single-file checkpoint whose tensors are changed."""

    def build(folder: Path) -> Arguments:
        path = model(folder) / "model.safetensors"
        save_file(change(load_file(path)), path)
        return REMOVE

    return build


def cut(count: int, **options: Any) -> Build:
    """A checkpoint whose last shard lost its last bytes."""

    def build(folder: Path) -> Arguments:
        path = sorted(model(folder, **options).glob("*.safetensors"))[-1]
        path.write_bytes(path.read_bytes()[:-count])
        return REMOVE

    return build


def evidence(option: str, document: Any, *more: Any) -> Build:
    """A sound checkpoint and an evidence file `evidence.json`."""

    def build(folder: Path) -> Arguments:
        model(folder)
        return [option, write_json(folder / "evidence.json", document), *more]

    return build


def options(*arguments: Any, family: str = "olmoe") -> Build:
    """A sound checkpoint and these arguments."""

    def build(folder: Path) -> Arguments:
        model(folder, family)
        return list(arguments)

    return build


def files(*, without: str = "", **content: bytes) -> Build:
    """A checkpoint without its file `without` and with other files, named by keyword with `_` for `.`."""

    def build(folder: Path) -> Arguments:
        path = model(folder)
        (path / without).unlink()
        for name, data in content.items():
            (path / name.replace("__", ".")).write_bytes(data)
        return REMOVE

    return build


def lost_shard(folder: Path) -> Arguments:
    (model(folder, shards=2) / "model-00002-of-00002.safetensors").unlink()
    return REMOVE


def duplicate_tensor(folder: Path) -> Arguments:
    path = model(folder, shards=2)
    first, second = sorted(path.glob("*.safetensors"))
    save_file(load_file(second) | {"model.embed_tokens.weight": load_file(first)["model.embed_tokens.weight"]}, second)
    return REMOVE


def renamed(name: str, other: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda found: {other if key == name else key: value for key, value in found.items()}


def drops(**fields: Any) -> dict[str, Any]:
    key, stats = combination(TWO, 4)
    return analysis((key, stats | fields))


CONFIG, SINGLE, EVIDENCE = "config.json", "model.safetensors", "evidence.json"
NORM = "model.layers.2.input_layernorm.weight"
SECOND = "model-00002-of-00002.safetensors"
TABLE: dict[str, tuple[Build, int, tuple[str, ...]]] = {
    # checkpoints
    "no such folder": (lambda folder: REMOVE, 1, ("model", "no such folder")),
    "a folder without config": (files(without=CONFIG), 1, ("no config.json",)),
    "a config that is cut off": (text_file(CONFIG, b'{"model_type": "olm'), 1, (CONFIG, "line 1 column 16")),
    "a config that is not UTF-8": (text_file(CONFIG, b'{"model_type": "\xff"}'), 1, (CONFIG, "byte 16: not UTF-8")),
    "a config that is a list": (text_file(CONFIG, b"[1]"), 1, (CONFIG, "expected an object, found a list of 1")),
    "a config with a key twice": (text_file(CONFIG, b'{"a": 1, "a": 2}'), 1, (CONFIG, '"a" occurs twice')),
    "a config nested without end": (text_file(CONFIG, b"[" * 100_000), 1, (CONFIG, "nested too deeply")),
    "weights as a pickle": (
        files(without=SINGLE, pytorch_model__bin=b"\x80\x02."),
        1,
        ("pickles (pytorch_model.bin)", "save_file"),
    ),
    "no weights": (files(without=SINGLE), 1, ("no safetensors file",)),
    "an empty weight file": (text_file(SINGLE, b""), 1, (SINGLE, "0 bytes are too few")),
    "a weight file that is a web page": (
        text_file(SINGLE, b"<!DOCTYPE html><html></html>"),
        1,
        (SINGLE, "the limit is 100000000"),
    ),
    "a huge header": (
        text_file(SINGLE, raw_file({}, length=2**62)),
        1,
        (SINGLE, "the header claims 4611686018427387904 bytes"),
    ),
    "a header that is cut off": (
        text_file(SINGLE, raw_file(b'{"a":', length=50)),
        1,
        (SINGLE, "the header claims bytes 8–58, but the file ends at 13"),
    ),
    "a header that is no JSON": (text_file(SINGLE, raw_file(b"{hello}")), 1, (SINGLE, "header", "line 1 column 2")),
    "a tensor name twice": (text_file(SINGLE, raw_file(b'{"a":{},"a":{}}')), 1, (SINGLE, '"a" occurs twice')),
    "overlapping offsets": (
        text_file(SINGLE, raw_file({"a": entry(0, 2), "b": entry(1, 3)}, b"xyz")),
        1,
        (SINGLE, 'tensor "b"', "overlapping"),
    ),
    "a hole between tensors": (
        text_file(SINGLE, raw_file({"a": entry(0, 1), "b": entry(2, 3)}, b"xyz")),
        1,
        (SINGLE, "belong to no tensor"),
    ),
    "an unknown dtype": (
        text_file(SINGLE, raw_file({"a": entry(0, 1, dtype="Q4")}, b"x")),
        1,
        (SINGLE, '["a"].dtype', '"Q4"'),
    ),
    "a shape that does not fit": (
        text_file(SINGLE, raw_file({"a": entry(0, 3, dtype="F32", shape=[1])}, b"xyz")),
        1,
        (SINGLE, '["a"]', "span 3"),
    ),
    "a weight file that is cut off": (cut(3), 1, (SINGLE, "truncated")),
    "a shard that is cut off": (cut(3, shards=2), 1, (SECOND, "truncated")),
    "a shard that is missing": (lost_shard, 1, (INDEX, f"the shard {SECOND} is missing")),
    "a shard outside the folder": (
        index(lambda found: found | {NORM: "../../other.safetensors"}),
        1,
        (INDEX, NORM, "'../../other.safetensors'"),
    ),
    "a shard with an absolute path": (
        index(lambda found: found | {NORM: "/other.safetensors"}),
        1,
        (INDEX, NORM, "not a plain file name"),
    ),
    "a tensor that its shard does not hold": (
        index(lambda found: found | {"x": SECOND}),
        1,
        (INDEX, '"x"', "does not hold it"),
    ),
    "a tensor that the index does not name": (
        index(lambda found: {k: v for k, v in found.items() if k != NORM}),
        1,
        (NORM, f"not in {INDEX}"),
    ),
    "a tensor in two shards": (duplicate_tensor, 1, ("model.embed_tokens.weight", "is in two files", SECOND)),
    "an index that is no JSON": (text_file(INDEX, b"weights"), 1, (INDEX, "line 1 column 1")),
    "an index without a weight map": (text_file(INDEX, b'{"metadata": {}}'), 1, (INDEX, '"weight_map" is missing')),
    "a block that lacks a tensor": (
        tensors(lambda found: {k: v for k, v in found.items() if k != NORM}),
        1,
        (NORM, "is missing"),
    ),
    "a tensor that no rule covers": (
        tensors(renamed(NORM, "model.decoder.layers.2.weight")),
        1,
        ("model.decoder.layers.2.weight", "no rule"),
    ),
    "a block beyond the depth": (
        tensors(renamed(NORM, "model.layers.16.input_layernorm.weight")),
        1,
        ("belongs to block 16", "0–15"),
    ),
    # configs
    "no model type": (config(model_type=None), 1, (CONFIG, '"model_type" is missing')),
    "an unknown architecture": (
        config(model_type="gpt_neox"),
        1,
        (CONFIG, 'unknown architecture "gpt_neox"', "qwen3_moe"),
    ),
    "the wrong family": (config(model_type="mixtral", num_local_experts=2), 1, ("lacks expert 0", "block_sparse_moe")),
    "a dense molmo": (config(model_type="molmo", block_type="sequential"), 1, (CONFIG, "block_type", '"sequential"')),
    "a variant as source": (config(model_type="trimoe_olmoe"), 1, (CONFIG, "already a trimoe variant")),
    "a nested config": (config(model_type="llava", text_config={"model_type": "llama"}), 1, (CONFIG, "text_config")),
    "no depth": (config(num_hidden_layers=None), 1, (CONFIG, '"num_hidden_layers" is missing')),
    "a depth that is text": (config(num_hidden_layers="16"), 1, (CONFIG, "num_hidden_layers", 'the string "16"')),
    "a depth that the weights lack": (config(num_hidden_layers=17), 1, ("no tensor of block 16",)),
    "more experts than the weights hold": (config(num_experts=3), 1, ("block 0 lacks expert 2",)),
    "a top_k beyond the experts": (config(num_experts_per_tok=3), 1, (CONFIG, "num_experts_per_tok", "only 2 experts")),
    "a list nobody understands": (
        config(gates=[0.5] * BLOCKS),
        1,
        (CONFIG, "gates: a list of 16", "architecture olmoe"),
    ),
    "a per-block list of the wrong length": (
        config(layer_types=["full_attention"] * 15),
        1,
        (CONFIG, "layer_types", "a list of 15"),
    ),
    "a layer pattern of another family": (config(first_k_dense_replace=1), 1, (CONFIG, "first_k_dense_replace")),
    # evidence
    "no such evidence": (options("--importance", "nowhere.json"), 1, ("nowhere.json", "No such file")),
    "a score that is not a number": (
        evidence("--importance", b'{"1": NaN}'),
        1,
        (EVIDENCE, "NaN is not a JSON number"),
    ),
    "an infinite score": (evidence("--importance", b'{"1": 1e400}'), 1, (EVIDENCE, "the number 1e400 is too large")),
    "a score for block 16": (
        evidence("--importance", {"16": 0.1}),
        1,
        (EVIDENCE, "no block 16: the model has blocks 0–15"),
    ),
    "a block without a score": (
        evidence("--importance", {"1": 0.1, "3": 0.2}),
        1,
        (EVIDENCE, "no score for blocks [2, 4, 5"),
    ),
    "evidence that is not UTF-8": (evidence("--importance", b"\xff\xfe{}"), 1, (EVIDENCE, "byte 0: not UTF-8")),
    "evidence that is cut off": (evidence("--importance", b'{"1": 0.'), 1, (EVIDENCE, "line 1 column")),
    "scores twice for a block": (evidence("--importance", b'{"1": 0.1, "1": 0.2}'), 1, (EVIDENCE, '"1" occurs twice')),
    "recommendations as importance": (
        evidence("--importance", {"1": recommendation(4)}),
        1,
        (EVIDENCE, "give it as --recommendations"),
    ),
    "importance as recommendations": (
        options("--recommendations", STUDY_SCORES),
        1,
        (STUDY_SCORES.name, "holds importance scores, not recommended sets of blocks; give it as --importance"),
    ),
    "a recommendation of block 16": (
        evidence("--recommendations", {"1": recommendation(16)}),
        1,
        (EVIDENCE, '["1"].removed_blocks[0]', "no block 16"),
    ),
    "a recommendation of block 0": (
        evidence("--recommendations", {"1": recommendation(0)}),
        1,
        (EVIDENCE, "[0]: block 0 is never removed"),
    ),
    "a recommendation of a protected block": (
        evidence("--recommendations", {"1": recommendation(15)}, "--protect", "15"),
        1,
        (EVIDENCE, "[15]: block 15 is protected"),
    ),
    "an analysis that has only protected sets at a depth": (
        evidence("--recommendations", analysis(combination(TWO, 4), combination(TWO, 4, 15)), "--protect", "15"),
        1,
        (EVIDENCE, '["(4, 15)"]', "no set leaves 14 blocks", "block 15 is protected", "--blocks 15,16"),
    ),
    "drops in points": (
        evidence("--recommendations", {"1": recommendation(4, drop=3.09)}),
        1,
        (EVIDENCE, '["1"].avg_drop: 3.09 is above 1'),
    ),
    "a recommendation of the wrong size": (
        evidence("--recommendations", {"2": recommendation(4)}),
        1,
        (EVIDENCE, '["2"]', "under the key 2"),
    ),
    "a negative spread": (
        evidence("--recommendations", {"1": recommendation(4, std=-1.0)}),
        1,
        (EVIDENCE, '["1"].std_drop', "negative"),
    ),
    "a wrong count of data sets": (
        evidence("--recommendations", {"1": recommendation(4) | {"num_datasets": 3}}),
        1,
        (EVIDENCE, "num_datasets: 3"),
    ),
    "a mean that its data sets do not give": (
        evidence("--recommendations", drops(avg_accuracy_drop=0.9)),
        1,
        (EVIDENCE, "0.9, but", "gives 0.03"),
    ),
    "a combination twice": (
        evidence("--recommendations", analysis(combination(TWO, 4, 13), combination(TWO, 13, 4))),
        1,
        (EVIDENCE, '["(13, 4)"]', "the same blocks as under '(4, 13)'"),
    ),
    "a strategy for ready recommendations": (
        evidence("--recommendations", {"1": recommendation(4)}, "--strategy", "robust"),
        1,
        (EVIDENCE, "--strategy robust needs a cross_dataset_analysis.json"),
    ),
    "a strategy without a candidate": (
        evidence("--recommendations", drops(), "--strategy", "robust", "--min-datasets", "5"),
        1,
        (EVIDENCE, "robust (at least 5 data sets) finds no candidate"),
    ),
    "one data set for robust": (
        options("--recommendations", "x.json", "--strategy", "robust", "--min-datasets", "1"),
        2,
        ("--min-datasets", "x>=2"),
    ),
    "a depth that the evidence does not cover": (
        evidence("--recommendations", {"1": recommendation(4)}, "--blocks", "12-15"),
        1,
        (EVIDENCE, "says nothing about 12, 13, 14 blocks; it covers 15, 16"),
    ),
    "a second file that is broken": (evidence("--also", b"{", "--remove", "4"), 1, (EVIDENCE, "line 1 column 2")),
    # options
    "block 16": (options("--remove", "16"), 1, ("cannot remove blocks [16]: the model has blocks 0–15",)),
    "block 0": (options("--remove", "0,4"), 1, ("cannot remove blocks [0, 4]: block 0 is never removed",)),
    "a protected block": (
        options("--remove", "4,15", "--protect", "15"),
        1,
        ("cannot remove blocks [4, 15]: block 15 is protected",),
    ),
    "a protected block that is not there": (
        options("--remove", "4", "--protect", "20"),
        1,
        ("cannot protect blocks [20]",),
    ),
    "more blocks than there are": (
        options("--importance", STUDY_SCORES, "--blocks", "17"),
        1,
        ("cannot keep 17 blocks: the model has 16",),
    ),
    "fewer blocks than must stay": (
        options("--importance", STUDY_SCORES, "--blocks", "1"),
        1,
        ("cannot reach 1 blocks: 2 are always kept (0, 15)",),
    ),
    "a top_k beyond what there is": (
        options(*REMOVE, "--top-k", "3"),
        1,
        ("cannot use 3 experts per token: the model has 1–2",),
    ),
    "a top_k for a dense model": (
        options(*REMOVE, "--top-k", "2", family="llama"),
        1,
        ("architecture llama has no experts",),
    ),
    "a top_k list of the wrong length": (
        options(*REMOVE, "--top-k-list", "2,1,1"),
        1,
        ("has 3 values: the model has 16 blocks",),
    ),
    "a top_k list that changes block 0": (
        options(*REMOVE, "--top-k-list", "1" + ",1" * 15),
        1,
        ("block 0 keeps the source's top_k, 2",),
    ),
    "no way to choose": (options(), 2, ("give exactly one of --recommendations, --importance and --remove",)),
    "two ways to choose": (
        options("--remove", "4", "--importance", STUDY_SCORES),
        2,
        ("found --importance and --remove",),
    ),
    "blocks that are no numbers": (options("--remove", "four"), 2, ("'four' in 'four' is not a number",)),
    "a range that runs backwards": (options(*REMOVE, "--blocks", "16-12"), 2, ("the range 16-12 runs backwards",)),
    "top_k in two ways": (
        options(*REMOVE, "--top-k", "2", "--top-k-list", "2,1"),
        2,
        ("--top-k and --top-k-list cannot both be given",),
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_bad_input_is_refused_with_its_own_message(case: str, tmp_path: Path) -> None:
    build, status, phrases = TABLE[case]
    arguments = build(tmp_path)
    result = CliRunner().invoke(main, ["plan", str(tmp_path / "model"), *map(str, arguments)])
    assert result.exit_code == status
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    text = " ".join(result.output.split())
    for phrase in phrases:
        assert phrase in text, f"{phrase!r} is not in {text!r}"


def test_there_are_enough_bad_inputs_and_their_messages_differ(tmp_path: Path) -> None:
    assert len(TABLE) >= 45
    messages = set()
    for i, (build, _, _) in enumerate(TABLE.values()):
        folder = tmp_path / str(i)
        folder.mkdir()
        result = CliRunner().invoke(main, ["plan", str(folder / "model"), *map(str, build(folder))])
        messages.add(result.output.replace(str(folder), ""))
    assert len(messages) == len(TABLE)
