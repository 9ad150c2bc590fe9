"""Synthetic checkpoints: the real layouts, deterministic values, rounding, and the mark that they are no models."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import load_file

from exporter.commands.synth import synth
from exporter.synth.layouts import LAYOUTS, Sizes, find_layout
from exporter.synth.write import encode, plan_synth, tensor_values, write_synth
from runtime.errors import PlanError, TargetError
from runtime.text.progress import NoProgress
from tests.support.families import digests, export_plan, plan_family
from tests.support.paths import TEST_DATA

SMALL = Sizes(blocks=6, hidden=64, experts=8, vocabulary=100)


def write(folder: Path, like: str = "molmoe-1b", sizes: Sizes = SMALL, **options: Any) -> Path:
    write_synth(plan_synth(find_layout(like), sizes, **options), folder, progress=NoProgress())
    return folder


@pytest.mark.parametrize(
    ("like", "tensors", "parameters"), [("molmoe-1b", 3573, 7_221_875_712), ("olmoe-1b-7b", 3219, 6_919_161_856)]
)
def test_full_scale_layouts_have_the_real_models_tensors_and_parameters(
    like: str, tensors: int, parameters: int
) -> None:
    planned = plan_synth(find_layout(like), Sizes())
    assert sum(map(len, planned.shards)) == tensors
    assert planned.parameters == parameters


def test_one_block_of_molmoe_has_199_tensors_and_419569664_parameters() -> None:
    block = [
        (n, s)
        for n, s in find_layout("molmoe-1b").shapes(find_layout("molmoe-1b").config)
        if n.startswith("model.transformer.blocks.3.")
    ]
    assert len(block) == 199
    assert sum(math.prod(shape) for _, shape in block) == 419_569_664


def test_the_molmoe_config_is_the_real_one() -> None:
    real = json.loads((TEST_DATA / "molmoe-1b" / "config.json").read_text("utf-8"))
    assert dict(find_layout("molmoe-1b").config) == real


def test_the_bench_checkpoint_is_about_1_7_gb() -> None:
    planned = plan_synth(find_layout("bench"), Sizes())
    assert planned.config["hidden_size"] == 512
    assert 1.6e9 < planned.bytes < 1.8e9


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_is_a_source_that_exports(tmp_path: Path, layout: Any) -> None:
    source = write(
        tmp_path / "source", layout.name, Sizes(blocks=4, hidden=64, experts=8, vocabulary=100), dtype="bfloat16"
    )
    manifest = export_plan(plan_family(source, removals=((), (2,)), top_ks=(8, 4)), tmp_path / "family").manifest
    assert manifest.source.synthetic
    assert len(manifest.variants) == 4


def test_config_and_headers_say_that_the_weights_are_synthetic(tmp_path: Path) -> None:
    folder = write(tmp_path / "synth")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["trimoe_synthetic"] is True
    assert (config["d_model"], config["n_layers"], config["vocab_size"], config["embedding_size"]) == (64, 6, 100, 128)
    with safe_open(folder / "model.safetensors", "np") as file:
        assert file.metadata()["trimoe_synthetic"] == "true"


def test_content_depends_on_seed_and_name_only(tmp_path: Path) -> None:
    one = write(tmp_path / "one")
    assert digests(one) == digests(write(tmp_path / "two"))
    other = load_file(write(tmp_path / "three", seed=1) / "model.safetensors")
    tensors = load_file(one / "model.safetensors")
    name = "model.transformer.blocks.0.mlp.gate.weight"
    assert not np.array_equal(other[name], tensors[name])
    deeper = load_file(
        write(tmp_path / "four", sizes=Sizes(blocks=2, hidden=64, experts=8, vocabulary=100)) / "model.safetensors"
    )
    assert all(np.array_equal(deeper[key], tensors[key]) for key in deeper)


def test_values_have_the_usual_scale_norms_are_one_and_biases_zero(tmp_path: Path) -> None:
    tensors = load_file(write(tmp_path / "synth") / "model.safetensors")
    weight = tensors["model.transformer.wte.embedding"]
    assert abs(float(weight.std()) - 0.02) < 0.001
    assert (tensors["model.transformer.ln_f.weight"] == 1).all()
    assert (tensors["model.vision_backbone.image_vit.pre_ln.bias"] == 0).all()
    assert tensors["model.vision_backbone.image_vit.class_embedding"].std() > 0


def test_large_tensors_come_in_pieces_that_join_to_the_same_values() -> None:
    pieces = list(tensor_values("a.weight", (3, 500_000), 7))
    assert [len(piece) for piece in pieces] == [1 << 20, 1_500_000 - (1 << 20)]
    assert len(np.unique(np.concatenate(pieces))) > 1_000_000


def test_bfloat16_is_rounded_to_nearest_even() -> None:
    torch = pytest.importorskip("torch")
    values = np.concatenate(
        [*tensor_values("a.weight", (100, 100), 0), np.array([1.00390625, 1.01171875, -0.0, 1e-40], np.float32)]
    )
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.uint16).numpy()
    assert np.array_equal(encode(values, "bfloat16"), expected)


def test_shards_are_split_in_order_and_indexed(tmp_path: Path) -> None:
    folder = write(tmp_path / "synth", max_shard_bytes=1_500_000)
    index = json.loads((folder / "model.safetensors.index.json").read_text("utf-8"))
    names = sorted(set(index["weight_map"].values()))
    assert len(names) > 2
    loaded = {name: load_file(folder / name) for name in names}
    assert {t: n for n in names for t in loaded[n]} == index["weight_map"]
    assert index["metadata"]["total_size"] == sum(v.nbytes for f in loaded.values() for v in f.values())
    assert all(sum(v.nbytes for v in f.values()) <= 1_500_000 for f in loaded.values())


def test_a_number_of_bytes_chooses_the_nearest_hidden_size() -> None:
    planned = plan_synth(find_layout("olmoe-1b-7b"), Sizes(), near_bytes=2_000_000_000)
    assert planned.config["intermediate_size"] * 2 == planned.config["hidden_size"]
    assert abs(planned.bytes - 2e9) < 0.05 * 2e9


@pytest.mark.parametrize(
    ("like", "sizes", "options", "message"),
    [
        ("bench", Sizes(hidden=100), {}, "cannot make hidden size 100: bench needs a multiple of 16"),
        ("bench", Sizes(experts=4), {}, "cannot make 4 experts: bench uses 8 for each token"),
        ("bench", Sizes(experts=10**9), {}, "cannot make 1000000000 experts: at most 65536"),
        (
            "bench",
            Sizes(blocks=1000, experts=60_000),
            {},
            "cannot make 60000000 experts in all blocks together: at most 1048576",
        ),
        ("bench", Sizes(hidden=16 << 20), {}, "cannot make hidden size 16777216: at most 131072"),
        ("bench", Sizes(blocks=0), {}, "cannot make 0 blocks: at least 1 is needed"),
        ("bench", Sizes(hidden=64), {"near_bytes": 10**9}, "give a hidden size or a number of bytes, not both"),
        ("molmoe-1b", Sizes(), {"near_bytes": 1000}, "cannot come near that many bytes: molmoe-1b at these sizes has"),
    ],
)
def test_impossible_sizes_are_refused(like: str, sizes: Sizes, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_synth(find_layout(like), sizes, **options)


def test_unknown_layouts_and_taken_targets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no layout 'gpt'; there are molmoe-1b, olmoe-1b-7b, bench"):
        find_layout("gpt")
    (tmp_path / "x").write_text("x", "utf-8")
    with pytest.raises(TargetError, match="exists and is not empty"):
        write(tmp_path)


def test_the_command_writes_and_reports(tmp_path: Path) -> None:
    sizes = ["--blocks", "2", "--hidden", "32", "--experts", "8", "--vocab", "64"]
    result = CliRunner().invoke(synth, ["--like", "bench", "--out", str(tmp_path / "s"), *sizes])
    assert result.exit_code == 0, result.output
    assert "random float32 parameters like bench" in result.output
    assert (tmp_path / "s" / "config.json").exists()
    for value in ("many", "0", "1.5XB", "-3"):
        result = CliRunner().invoke(synth, ["--like", "bench", "--out", str(tmp_path / "t"), f"--bytes={value}"])
        assert result.exit_code == 2
        assert value in result.output
