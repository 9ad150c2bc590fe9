"""Exported variants against the original with the same blocks skipped, and what planted faults look like."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from exporter.checkpoint.checkpoint import open_checkpoint
from exporter.plan.plan import Plan, PlannedVariant
from exporter.reference import load_check
from exporter.reference.golden import make_golden, pick, read_golden, read_inputs, write_inputs
from exporter.reference.golden_inputs import make_inputs, vocabulary
from exporter.reference.load_check import LoadTarget, check_loads
from exporter.verify.export_answers import check_buildable, compare_with_source
from runtime.documents.check import Check
from runtime.documents.manifest import read_manifest
from runtime.errors import CheckpointError, DocumentError, TrimoeError, VerificationError
from tests.support.families import SOURCES, ModelFamilies, copy_family, model_source, plan_model
from tests.support.paths import MODELING
from tests.support.staged_variants import compare, exchanged_layers, staged
from tests.support.tiny_transformers import masked_original, whole_model, write_transformers

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("architecture", SOURCES)
def test_masked_original_streamed_variant_and_loaded_folder_are_equal_to_the_last_bit(
    architecture: str, model_family: ModelFamilies
) -> None:
    plan, folder = model_family(architecture)
    inputs = read_inputs(folder)
    path = "model.transformer.blocks" if architecture == "molmoe" else "model.layers"
    assert len(plan.variants) == (3 if architecture == "llama" else 6)
    for variant in plan.variants:
        golden = read_golden(folder / f"golden/{variant.id}.safetensors")
        masked = masked_original(
            whole_model(architecture, folder.parent / "source"), variant.layers, variant.top_k, path=path
        )
        loaded, info = AutoModelForCausalLM.from_pretrained(
            folder / "variants" / variant.id, trust_remote_code=bool(variant.modeling_files), output_loading_info=True
        )
        assert not any(info.values())
        with torch.no_grad():
            for model in (masked, loaded.eval()):
                assert torch.equal(pick(model(**inputs, use_cache=False).logits, golden.positions), golden.logits)
    checks = {check.name: check.outcome for variant in read_manifest(folder).variants for check in variant.checks}
    assert checks["logits"] == "passed"
    assert ("experts" in checks) == (architecture != "llama")


@pytest.mark.parametrize("architecture", ["molmoe", "olmoe"])
def test_a_checkpoint_in_float64_is_compared_in_float64_with_eager_experts(architecture: str, tmp_path: Path) -> None:
    source = model_source(architecture, tmp_path / "source")
    for path in source.glob("*.safetensors"):
        save_file({name: tensor.double() for name, tensor in load_file(path).items()}, path, {"format": "pt"})
    edit_config(source, dtype="float64")
    plan = plan_model(architecture, source, removals=((1, 2),))
    check_buildable(plan=plan)
    folder = staged(plan, tmp_path)
    result, _ = compare(plan, folder)
    assert {outputs.logits.dtype for outputs in result.values()} == {torch.float64}
    detail = load(plan, folder, plan.variants[-1], result).detail
    assert detail.endswith("ForCausalLM with experts_implementation 'eager', logits bitwise equal to the golden ones")


def test_a_checkpoint_in_bfloat16_is_compared_in_bfloat16(tmp_path: Path) -> None:
    plan = plan_model(
        "qwen3_moe", write_transformers("qwen3_moe", tmp_path / "source", dtype=torch.bfloat16), removals=((1, 2),)
    )
    result, _ = compare(plan, staged(plan, tmp_path))
    assert {outputs.logits.dtype for outputs in result.values()} == {torch.bfloat16}


def test_progress_counts_the_source_and_each_shard_once(tmp_path: Path) -> None:
    plan = plan_model("olmoe", model_source("olmoe", tmp_path / "source"))
    _, told = compare(plan, staged(plan, tmp_path))
    blocks = sum(tensor.bytes for name, tensor in plan.checkpoint.tensors.items() if ".layers." in name)
    shards = sum(tensor.source.bytes for shard in plan.shards if shard.block is not None for tensor in shard.tensors)
    assert told == blocks + shards


def load(plan: Plan, folder: Path, variant: PlannedVariant, result: dict[str, Any]) -> Check:
    """Load a staged variant in a process of its own and compare it with its `result`."""
    inputs = make_inputs(plan.checkpoint.config, vocabulary=vocabulary(plan.checkpoint))
    write_inputs(folder, inputs)
    place = folder / "variants" / variant.id
    for name in variant.modeling_files:
        (place / name).write_bytes((MODELING / name).read_bytes())
    golden = make_golden(variant.id, result[variant.id], inputs)
    target = LoadTarget(folder=place, golden=golden, bytes=variant.bytes, layers=variant.layers)
    return check_loads(folder, [target], blocks_at=plan.architecture.tensors.layers_attribute)[variant.id]


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def swap_layers(folder: Path) -> None:
    """Layers 1 and 2 change places, under the right names."""
    first, second = (sorted(folder.glob(f"block-*-layer-0{layer}.safetensors"))[0] for layer in (1, 2))
    for path, tensors in zip((first, second), exchanged_layers(first, second), strict=True):
        path.unlink()
        save_file(tensors, path)


def flip_weight(folder: Path) -> None:
    path = folder / "block-04-layer-02.safetensors"
    tensors = load_file(path)
    path.unlink()
    tensors["model.layers.2.self_attn.v_proj.weight"][3, 5] *= 1.001
    save_file(tensors, path)


def drop_tensor(folder: Path) -> None:
    path = folder / "model.safetensors.index.json"
    weight_map = json.loads(path.read_text("utf-8"))["weight_map"]
    del weight_map["model.layers.2.mlp.gate.weight"]
    path.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), "utf-8")


def config_with(**changes: Any) -> Callable[[Path], None]:
    """A fault of a variant's config."""
    return lambda place: edit_config(place, **changes)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(
            config_with(top_k_per_layer=[4, 1, 2]),
            r"layer 2 \(source block 4\): 2 experts per token, planned are 1",
            id="wrong list",
        ),
        pytest.param(
            config_with(top_k_per_layer=[4, 1, 9]),
            r"config.json: refused by the model's config class: .*is 9",
            id="bad list",
        ),
        pytest.param(
            config_with(num_hidden_layers=2, top_k_per_layer=[4, 1]),
            r"tensors of layers \[2\], but config.json",
            id="stale depth",
        ),
        pytest.param(
            config_with(num_hidden_layers=5), r"refused by the model's config class: .*5 layers", id="unpruned depth"
        ),
        pytest.param(
            config_with(norm_topk_prob=True),
            r"layer 0 \(source block 0\): hidden states differ .* max \|Δ\| \d",
            id="renormalised",
        ),
        pytest.param(config_with(rms_norm_eps=0.1), r"layer 0 .* differ|other experts", id="another epsilon"),
        pytest.param(
            config_with(model_type="gpt2"),
            r'config.json: model_type is "gpt2"; architecture olmoe has "olmoe" or "trimoe_olmoe"',
            id="another model type",
        ),
        pytest.param(
            config_with(hidden_act="none"), "config.json: no model can be built from it: .*none", id="unbuildable"
        ),
        pytest.param(swap_layers, r"variant b3-k1: layer 1 \(source block 2\): .* max \|Δ\|", id="swapped layers"),
        pytest.param(flip_weight, r"variant b3-k1: layer 2 \(source block 4\): .* max \|Δ\|", id="one weight"),
        pytest.param(
            drop_tensor, r'1 tensor of layer 2 missing, first "model.layers.2.mlp.gate.weight"', id="missing tensor"
        ),
    ],
)
def test_a_planted_fault_is_named(fault: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    plan = plan_model("olmoe", model_source("olmoe", tmp_path / "source"), removals=((1, 3),))
    folder = staged(plan, tmp_path)
    fault(folder / "variants" / "b3-k1")
    with pytest.raises(VerificationError, match=said):
        compare(plan, folder)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        pytest.param(
            "model.embed_tokens.weight",
            lambda tensor: tensor + 1,
            r"variant b4: before layer 0, the embeddings differ from the masked original's, max \|Δ\| 1",
            id="embeddings",
        ),
        pytest.param(
            "lm_head.weight",
            lambda tensor: -tensor,
            r"variant b4: after the last layer, logits differ from the masked original's",
            id="head",
        ),
    ],
)
def test_other_tensors_outside_the_blocks_are_named(
    name: str, change: Callable[[torch.Tensor], torch.Tensor], said: str, tmp_path: Path
) -> None:
    plan = plan_model("llama", model_source("llama", tmp_path / "source"), removals=((1,),))
    folder = staged(plan, tmp_path)
    path = folder / "variants" / "b4" / "non-block.safetensors"
    tensors = load_file(path)
    path.unlink()
    save_file({**tensors, name: change(tensors[name])}, path)
    with pytest.raises(VerificationError, match=said):
        compare(plan, folder)


def test_a_source_whose_numbers_are_not_finite_is_refused(tmp_path: Path) -> None:
    source = write_transformers("llama", tmp_path / "source", max_shard_size="1GB")
    tensors = load_file(source / "model.safetensors")
    tensors["model.norm.weight"][0] = torch.nan
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    plan = plan_model("llama", source, removals=((1,),))
    with pytest.raises(CheckpointError, match="b4 gives logits that are not finite"):
        compare(plan, staged(plan, tmp_path))


def test_a_quantised_source_is_refused(tmp_path: Path) -> None:
    source = model_source("llama", tmp_path / "source")
    edit_config(source, quantization_config={"quant_method": "fp8"})
    plan_source = open_checkpoint(source)
    with pytest.raises(TrimoeError, match="quantization_config"):
        compare_with_source(
            plan_source,
            plan_model("llama", model_source("llama", tmp_path / "other")).architecture,
            [],
            inputs={},
            progress=print,
        )


def test_every_variant_is_loaded_in_a_process_without_trimoe(model_family: ModelFamilies) -> None:
    _, folder = model_family("molmoe")
    loads = {v.id: next(check for check in v.checks if check.name == "loads") for v in read_manifest(folder).variants}
    assert {check.outcome for check in loads.values()} == {"passed"}
    assert loads["b3-k1"].detail == "TrimoeMolmoeForCausalLM, logits bitwise equal to the golden ones"
    assert not [path for path in folder.rglob("*") if path.suffix == ".pyc"]


def copied_olmoe(model_family: ModelFamilies, folder: Path) -> tuple[Plan, Path]:
    """A family to be changed."""
    plan, family = model_family("olmoe")
    return plan, copy_family(family, folder / "family")


def test_a_folder_that_cannot_be_loaded_is_named_with_the_reason(tmp_path: Path, model_family: ModelFamilies) -> None:
    plan, folder = copied_olmoe(model_family, tmp_path)
    place = folder / "variants" / "b3-k1"
    (place / "modeling_trimoe_per_layer_top_k.py").unlink()
    golden = read_golden(folder / "golden" / "b3-k1.safetensors")
    with pytest.raises(
        VerificationError,
        match=r"variant b3-k1: AutoModelForCausalLM cannot load the folder: OSError: .*per_layer_top_k.py",
    ):
        check_loads(
            folder,
            [LoadTarget(folder=place, golden=golden, bytes=plan.variants[0].bytes, layers=(0, 2, 4))],
            blocks_at="model.layers",
        )


def test_a_model_that_would_not_stop_where_its_files_say_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_family: ModelFamilies
) -> None:
    plan, folder = copied_olmoe(model_family, tmp_path)
    place = folder / "variants" / "b3-k1"
    golden = read_golden(folder / "golden" / "b3-k1.safetensors")
    target = LoadTarget(folder=place, golden=golden, bytes=plan.variants[0].bytes, layers=(0, 2, 4))
    (place / "generation_config.json").write_bytes(b'{"eos_token_id": 2')
    with pytest.raises(DocumentError, match=r"b3-k1/generation_config.json: line 1 column 19: Expecting ',' delimiter"):
        check_loads(folder, [target], blocks_at="model.layers")
    (place / "generation_config.json").write_bytes(b'{"eos_token_id": [5, 7]}')
    monkeypatch.setattr(load_check, "_run_probe", lambda _request, _scratch: {"b3-k1": {"eos": None}})
    with pytest.raises(
        VerificationError,
        match=r"variant b3-k1: generation ends at None, but generation_config.json says eos_token_id \[5, 7\]",
    ):
        check_loads(folder, [target], blocks_at="model.layers")


def test_a_variant_larger_than_half_of_the_free_memory_is_not_loaded(
    model_family: ModelFamilies,
) -> None:
    _, folder = model_family("llama")
    golden = read_golden(folder / "golden" / "b4.safetensors")
    target = LoadTarget(folder=folder / "variants" / "b4", golden=golden, bytes=10**18, layers=(0, 1, 3, 4))
    found = check_loads(folder, [target], blocks_at="model.layers")
    assert found["b4"].outcome == "skipped"
    assert found["b4"].detail.startswith("1000000000000000000 bytes of weights, ")


def with_tensors(source: Path, change: dict[str, torch.Tensor | None]) -> Path:
    """A single-file source with tensors added, replaced or (None) left out."""
    tensors = {**load_file(source / "model.safetensors"), **change}
    save_file(
        {name: tensor for name, tensor in tensors.items() if tensor is not None},
        source / "model.safetensors",
        {"format": "pt"},
    )
    return source


@pytest.mark.parametrize("architecture", ["llama", "mixtral"])
def test_rotary_frequencies_of_old_checkpoints_are_copied_and_passed_over(architecture: str, tmp_path: Path) -> None:
    source = write_transformers(architecture, tmp_path / "source", max_shard_size="1GB")
    names = [
        *(f"model.layers.{block}.self_attn.rotary_emb.inv_freq" for block in range(5)),
        "model.rotary_emb.inv_freq",
    ]
    with_tensors(source, {name: torch.full((4,), 7.0) for name in names})
    plan = plan_model(architecture, source, removals=((1, 3),))
    check_buildable(plan=plan)
    folder = staged(plan, tmp_path)
    result, _ = compare(plan, folder)
    variant = plan.variants[0]
    assert load(plan, folder, variant, result).outcome == "passed"
    weights = load_file(folder / "variants" / variant.id / Path(variant.shards[-1]).name)
    assert any("inv_freq" in name and bool((tensor == 7).all()) for name, tensor in weights.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_experts_of_widths_that_the_grouped_kernel_refuses_run_eagerly(dtype: torch.dtype, tmp_path: Path) -> None:
    plan = plan_model(
        "qwen3_moe",
        write_transformers("qwen3_moe", tmp_path / "source", dtype=dtype, moe_intermediate_size=12),
        removals=((1, 2),),
    )
    folder = staged(plan, tmp_path)
    result, _ = compare(plan, folder)
    variant = next(v for v in plan.variants if not v.modeling_files)
    assert (
        load(plan, folder, variant, result).detail
        == "Qwen3MoeForCausalLM with experts_implementation 'eager', logits bitwise equal to the golden ones"
    )


@pytest.mark.parametrize("architecture", SOURCES)
def test_what_can_be_run_is_found_buildable_in_advance(architecture: str, tmp_path: Path) -> None:
    check_buildable(plan=plan_model(architecture, model_source(architecture, tmp_path / "source")))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"dtype": "float99"}, 'source/config.json: dtype: the string "float99" is no data type', id="type"
        ),
        pytest.param(
            {"torch_dtype": "float99", "dtype": None}, "config.json: torch_dtype: .* is no data type", id="old type"
        ),
        pytest.param({"pad_token_id": 999999}, r"source/config.json: (refused|no model).*", id="padding"),
        pytest.param({"num_attention_heads": 0}, r"source/config.json: (refused|no model).*", id="no heads"),
        pytest.param(
            {"hidden_act": "none"}, "source/config.json: no model can be built from it: .*none", id="activation"
        ),
        pytest.param({"hidden_size": 64}, r"has shape \[.*\], the model needs \[.*\]", id="width"),
        pytest.param({"quantization_config": {"quant_method": "fp8"}}, "give --no-logits", id="quantised"),
    ],
)
def test_what_cannot_be_run_is_refused_in_advance(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    source = model_source("llama", tmp_path / "source")
    edit_config(source, **changes)
    with pytest.raises(CheckpointError, match=said):
        check_buildable(plan=plan_model("llama", source))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"model.norm.weight": None}, '1 tensor missing, first "model.norm.weight"', id="missing"),
        pytest.param(
            {"model.extra.weight": torch.zeros(2)},
            'tensor "model.extra.weight" is no parameter of the model',
            id="added",
        ),
        pytest.param(
            {f"model.layers.{block}.mlp.extra": torch.zeros(2) for block in range(5)},
            r'tensor "model.layers.\d.mlp.extra" is no',
            id="in a block",
        ),
        pytest.param(
            {"lm_head.weight": torch.zeros(3, 32)},
            r'"lm_head.weight" has shape \[3, 32\], the model needs \[96, 32\]',
            id="shape",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused_in_advance(
    change: dict[str, torch.Tensor | None], said: str, tmp_path: Path
) -> None:
    source = with_tensors(write_transformers("llama", tmp_path / "source", max_shard_size="1GB"), change)
    with pytest.raises(CheckpointError, match=said):
        check_buildable(plan=plan_model("llama", source))


def test_a_head_tied_to_the_embeddings_is_not_missing_in_advance(tmp_path: Path) -> None:
    check_buildable(
        plan=plan_model("llama", write_transformers("llama", tmp_path / "source", tie_word_embeddings=True))
    )
