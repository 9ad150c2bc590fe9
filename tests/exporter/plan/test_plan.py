"""The plan: ids, shards, sizes and configs, on hand-made checkpoints and on random requests."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.checkpoint.checkpoint import Checkpoint, SourceFile, TensorRecord
from exporter.evidence.evidence import ExplicitRemovals, Importance, Recommendations, RemovalSet
from exporter.plan.make_plan import make_plan
from exporter.plan.plan import Plan
from exporter.plan.request import PlanRequest
from runtime.documents.family_layout import NON_BLOCK_SHARD
from runtime.documents.manifest import DropRecord
from runtime.errors import CheckpointError, DocumentError, PlanError
from tests.support.tiny_checkpoints import block_shapes, tiny_config, tiny_shapes


def checkpoint(family: str = "olmoe", *, files: int = 1, shapes: Any = None, **options: Any) -> Checkpoint:
    """A checkpoint that exists on paper only: tensors back to back in one or more files."""
    config = tiny_config(family, **options)
    named = list(tiny_shapes(config) if shapes is None else shapes)
    tensors, at = {}, dict.fromkeys(range(files), 100)
    for i, (name, shape) in enumerate(named):
        file = i * files // len(named)
        record = TensorRecord(
            name=name,
            dtype="F32",
            shape=shape,
            file=f"{file}.safetensors",
            begin=at[file],
            end=at[file] + 4 * _count(shape),
        )
        tensors[name], at[file] = record, record.end
    sources = tuple(
        SourceFile(name=f"{i}.safetensors", size=end, mtime_ns=0, inode=i, header_sha256="0" * 64)
        for i, end in at.items()
    )
    return Checkpoint(
        folder=Path("paper"), config=config, config_sha256="0" * 64, tensors=tensors, files=sources, auxiliary=()
    )


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def explicit(*sets: tuple[int, ...], **options: Any) -> PlanRequest:
    return PlanRequest(chosen=ExplicitRemovals(sets=sets), **options)


def ids(plan: Plan) -> list[str]:
    return [variant.id for variant in plan.variants]


def test_every_depth_meets_every_top_k_and_the_ids_say_so() -> None:
    plan = make_plan(checkpoint(), request=explicit((3,), (1, 3), depths=(4, 5, 6), top_ks=(2, 1)))
    assert ids(plan) == ["b6-k2", "b6-k1", "b5-k2", "b5-k1", "b4-k2", "b4-k1"]
    last = plan.variants[-1]
    assert (last.layers, last.removed, last.top_k) == ((0, 2, 4, 5), (1, 3), (2, 1, 1, 1))
    assert last.modeling_files == ("modeling_trimoe_per_layer_top_k.py",)
    assert plan.variants[-2].modeling_files == ()


def test_without_top_k_the_sources_value_is_used() -> None:
    assert ids(make_plan(checkpoint(), request=explicit((3,)))) == ["b5-k2"]


def test_two_sets_of_one_size_carry_their_removed_blocks_in_the_id() -> None:
    plan = make_plan(checkpoint(), request=explicit((1, 3), (2, 4), (5,), top_ks=(1,)))
    assert ids(plan) == ["b5-k1", "b4-k1-r1.3", "b4-k1-r2.4"]


def test_a_top_k_list_is_sliced_and_ends_the_id_in_its_digest() -> None:
    values = (2, 1, 2, 4, 1, 3)
    digest = hashlib.sha256(b"2,1,2,4,1,3").hexdigest()[:8]
    plan = make_plan(checkpoint(), request=explicit((1, 3), (2, 4), (5,), top_k_list=values))
    assert ids(plan) == [f"b5-kmix-{digest}", f"b4-kmix-r1.3-{digest}", f"b4-kmix-r2.4-{digest}"]
    assert plan.variants[1].top_k == (2, 2, 1, 3)
    assert plan.variants[1].config["top_k_per_layer"] == [2, 2, 1, 3]


@pytest.mark.parametrize(("values", "label"), [((2, 2, 2, 2, 2, 2), "k2"), ((2, 1, 1, 1, 1, 1), "k1")])
def test_a_top_k_list_of_one_value_is_the_variant_of_that_value(values: tuple[int, ...], label: str) -> None:
    listed = make_plan(checkpoint(), request=explicit((1,), top_k_list=values))
    single = make_plan(checkpoint(), request=explicit((1,), top_ks=(int(label[1:]),)))
    assert ids(listed) == [f"b5-{label}"]
    assert listed.variants == single.variants


def test_a_dense_family_has_depth_only() -> None:
    plan = make_plan(checkpoint("llama"), request=explicit((3,)))
    assert ids(plan) == ["b5"]
    assert plan.variants[0].top_k is None
    assert plan.variants[0].parameters == plan.variants[0].active_parameters


def test_variants_that_would_be_equal_are_one() -> None:
    request = PlanRequest(chosen=ExplicitRemovals(sets=((1, 2, 3, 4, 5),)), top_ks=(2, 1))
    assert ids(make_plan(checkpoint(), request=request)) == ["b1-k2"]


def test_shards_are_per_block_and_layer_and_shared_between_variants() -> None:
    plan = make_plan(checkpoint(), request=explicit((3,), (1, 3), top_ks=(2, 1)))
    paths = [shard.path for shard in plan.shards]
    assert paths[:4] == [
        f"weights/block-{name}.safetensors" for name in ("00-layer-00", "01-layer-01", "02-layer-01", "02-layer-02")
    ]
    assert paths[-1] == NON_BLOCK_SHARD
    assert plan.variants[2].shards[1] == "weights/block-02-layer-01.safetensors"
    assert all(variant.shared_bytes == variant.bytes for variant in plan.variants)


def test_shared_bytes_count_only_shards_that_another_variant_uses() -> None:
    plan = make_plan(checkpoint(), request=explicit((3,), (1, 3)))
    sizes = {shard.path: sum(tensor.source.bytes for tensor in shard.tensors) for shard in plan.shards}
    common = sizes["weights/block-00-layer-00.safetensors"] + sizes[NON_BLOCK_SHARD]
    assert [variant.shared_bytes for variant in plan.variants] == [common, common]
    assert make_plan(checkpoint(), request=explicit((3,))).variants[0].shared_bytes == 0


def test_active_parameters_count_the_experts_that_a_token_uses() -> None:
    source = checkpoint()
    expert = 3 * 8 * 16
    plan = make_plan(source, request=explicit((), depths=(6,), top_ks=(2, 4)))
    total = sum(record.parameters for record in source.tensors.values())
    assert [variant.parameters for variant in plan.variants] == [total, total]
    assert plan.variants[0].active_parameters == total - 6 * 2 * expert
    assert plan.variants[1].active_parameters == total - 2 * expert


def test_tensors_of_a_shard_are_in_the_sources_order() -> None:
    shapes = list(tiny_shapes(tiny_config()))
    source = checkpoint(files=3, shapes=sorted(shapes, key=lambda pair: pair[0][::-1]))
    order = {file.name: i for i, file in enumerate(source.files)}
    for shard in make_plan(source, request=explicit((3,))).shards:
        places = [(order[tensor.source.file], tensor.source.begin) for tensor in shard.tensors]
        assert places == sorted(places)


def ready(steps: tuple[RemovalSet, ...], *, digest: str = "") -> Recommendations:
    kind, path = "recommendations", "study/r.json"
    return Recommendations(
        file="r.json", path=path, sha256=digest, kind=kind, strategy=kind, steps=steps, notes=(), barred=()
    )


def test_the_choice_records_evidence_drops_and_disagreements() -> None:
    drop = DropRecord(mean=0.03, std=0.01, datasets=("a", "b"))
    steps = (RemovalSet(blocks=(4,), drop=drop, place='["1"].removed_blocks'),)
    chosen = ready(steps, digest="1" * 64)
    other = Importance(
        file="s.json", path="study/s.json", sha256="2" * 64, scores=tuple((block, float(block)) for block in range(6))
    )
    plan = make_plan(checkpoint(), request=PlanRequest(chosen=chosen, also=(other,), protected=(5,)))
    assert [variant.drop for variant in plan.variants] == [None, drop]
    assert plan.choice.protected == (0, 5)
    assert [(entry.role, entry.kind, entry.file) for entry in plan.choice.evidence] == [
        ("chosen", "recommendations", "r.json"),
        ("compared", "importance", "s.json"),
    ]
    assert plan.choice.notes == ("blocks 5: r.json removes [4], s.json removes [1]",)


def test_evidence_that_cannot_be_compared_says_why() -> None:
    drop = DropRecord(mean=0.03, std=0.01, datasets=("a", "b"))
    other = ready((RemovalSet(blocks=(4,), drop=drop, place='["1"].removed_blocks'),))
    plan = make_plan(checkpoint(), request=explicit((3, 4), also=(other,)))
    assert plan.choice.notes == (
        'blocks 4: r.json cannot be compared: r.json: no key "2": says nothing about 4 blocks; it covers 5, 6',
    )


def test_another_file_gets_one_note_for_all_depths() -> None:
    drop = DropRecord(mean=0.03, std=0.01, datasets=("a", "b"))
    other = ready((RemovalSet(blocks=(4,), drop=drop, place='["1"].removed_blocks'),))
    request = PlanRequest(chosen=ExplicitRemovals(sets=((1,), (2, 3), (1, 2, 3))), also=(other,))
    assert make_plan(checkpoint(), request=request).choice.notes == (
        "blocks 5: --remove removes [1], r.json removes [4]; blocks 4, 3: r.json cannot be compared: r.json: "
        'no key "2", "3": says nothing about 4, 3 blocks; it covers 5, 6',
    )


def test_weights_beside_the_checkpoint_are_noted() -> None:
    source = replace(checkpoint(), unused=("a.gguf", "b.safetensors", "c.safetensors", "d.safetensors"))
    assert make_plan(source, request=explicit((3,))).choice.notes == (
        "beside the checkpoint's weights but not part of them, and so not exported: a.gguf, b.safetensors, "
        "c.safetensors, …",
    )


def test_what_does_not_travel_or_count_is_noted() -> None:
    source = checkpoint(auto_map={"AutoConfig": "x.Y"}, quantization_config={"quant_method": "fp8"})
    assert make_plan(source, request=explicit((3,))).choice.notes == (
        "the source names remote code (auto_map), which does not travel: variants are plain olmoe",
        "the source is quantized: its tensors are copied as they are, and parameters are counted as stored",
    )


def test_blocks_without_experts_keep_the_sources_top_k() -> None:
    source = checkpoint("qwen3_moe", mlp_only_layers=[2])
    plan = make_plan(source, request=explicit((3,), top_ks=(1,)))
    assert plan.variants[0].top_k == (2, 1, 2, 1, 1)
    assert plan.variants[0].config["mlp_only_layers"] == [2]
    with pytest.raises(PlanError, match="block 2 the value 1: block 2 has no experts and keeps the source's top_k, 2"):
        make_plan(source, request=explicit((3,), top_k_list=(2, 1, 1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("olmoe", {"top_ks": (5,)}, "cannot use 5 experts per token: the model has 1–4"),
        ("olmoe", {"top_ks": (0,)}, "cannot use 0 experts per token"),
        ("olmoe", {"top_ks": (2, 2)}, "top_k 2 is given twice"),
        ("olmoe", {"top_ks": (2,), "top_k_list": (2,) * 6}, "cannot both be given"),
        ("olmoe", {"top_k_list": (2,) * 5}, "the top_k list has 5 values: the model has 6 blocks, block 0 included"),
        ("olmoe", {"top_k_list": (1,) * 6}, "gives block 0 the value 1: block 0 keeps the source's top_k, 2"),
        ("olmoe", {"top_k_list": (2, 9, 2, 2, 2, 2)}, "cannot use 9 experts per token"),
        ("llama", {"top_ks": (2,)}, "architecture llama has no experts: top_k cannot be set"),
        ("llama", {"top_k_list": (2,) * 6}, "architecture llama has no experts"),
        ("olmoe", {"protected": (6,)}, r"cannot protect blocks \[6\]: the model has blocks 0–5"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(family: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        make_plan(checkpoint(family), request=explicit((3,), **options))


def without(shapes: Any, *names: str) -> list[tuple[str, tuple[int, ...]]]:
    return [pair for pair in shapes if pair[0] not in names]


def olmoe() -> list[tuple[str, tuple[int, ...]]]:
    return list(tiny_shapes(tiny_config()))


DAMAGED: list[tuple[str, list[tuple[str, tuple[int, ...]]], str]] = [
    (
        "a block too many",
        [*olmoe(), ("model.layers.6.mlp.gate.weight", (4, 16))],
        "belongs to block 6, but num_hidden_layers says 6",
    ),
    ("a block without tensors", [pair for pair in olmoe() if ".layers.4." not in pair[0]], "no tensor of block 4"),
    (
        "a lost norm",
        without(olmoe(), "model.layers.2.input_layernorm.weight"),
        '"model.layers.2.input_layernorm.weight" is missing; block 0 has it',
    ),
    (
        "a lost expert",
        [pair for pair in olmoe() if ".layers.1.mlp.experts.3." not in pair[0]],
        "block 1 lacks expert 3",
    ),
    (
        "a lost half expert",
        without(olmoe(), "model.layers.1.mlp.experts.3.up_proj.weight"),
        "model.layers.1.mlp.experts.3.up_proj.weight",
    ),
    (
        "an expert too many",
        [*olmoe(), ("model.layers.0.mlp.experts.4.up_proj.weight", (8, 16))],
        "block 0 has an expert 4",
    ),
    (
        "an index of many digits",
        [*olmoe(), (f"model.layers.{'9' * 5000}.mlp.gate.weight", (4, 16))],
        "a number of more than 9 digits is no index",
    ),
    ("fused experts", [pair for pair in olmoe() if ".experts." not in pair[0]], "block 0 lacks expert 0"),
    (
        "another stack",
        [*olmoe(), ("model.vision.layers.0.weight", (1,))],
        "a numbered module that no rule of architecture olmoe covers",
    ),
    (
        "names without prefix",
        [(name.removeprefix("model."), shape) for name, shape in olmoe()],
        '"layers.0.input_layernorm.weight": a numbered module',
    ),
    (
        "another shape",
        [(name, (15, 16) if name == "model.layers.3.self_attn.q_proj.weight" else shape) for name, shape in olmoe()],
        'tensor "model.layers.3.self_attn.q_proj.weight" has shape [15, 16], but [16, 16] in block 0',
    ),
]


@pytest.mark.parametrize(("shapes", "phrase"), [pair[1:] for pair in DAMAGED], ids=[pair[0] for pair in DAMAGED])
def test_a_checkpoint_whose_tensors_do_not_fit_its_config_is_refused(shapes: Any, phrase: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        make_plan(checkpoint(shapes=shapes), request=explicit((3,)))
    assert phrase in str(caught.value)
    assert str(caught.value).startswith("paper: ")


@pytest.mark.parametrize("experts", [65_537, 10**30])
def test_more_experts_than_any_model_has_are_refused_at_once(experts: int) -> None:
    source = checkpoint()
    with pytest.raises(DocumentError, match=r"num_experts: [0-9]+ is above the greatest allowed, 65536"):
        make_plan(replace(source, config=source.config | {"num_experts": experts}), request=explicit((3,)))


def test_experts_in_a_dense_block_are_refused() -> None:
    shapes = list(tiny_shapes(tiny_config("qwen3_moe")))
    with pytest.raises(CheckpointError, match=r"block 2 has an expert 3 .* but the config says this block has none"):
        make_plan(checkpoint("qwen3_moe", shapes=shapes, mlp_only_layers=[2]), request=explicit((3,)))


FAMILY_NAMES = ("olmoe", "mixtral", "qwen2_moe", "qwen3_moe", "llama")


@st.composite
def requests(draw: st.DrawFn) -> tuple[Checkpoint, PlanRequest]:
    family, blocks = draw(st.sampled_from(FAMILY_NAMES)), draw(st.integers(2, 8))
    options: dict[str, Any] = {"blocks": blocks, "experts": 3, "top_k": draw(st.integers(1, 3))}
    if family.startswith("qwen"):
        options["mlp_only_layers"] = sorted(draw(st.sets(st.integers(0, blocks - 1), max_size=2)))
    removable = st.integers(1, blocks - 1)
    sets = draw(
        st.lists(
            st.frozensets(removable, max_size=blocks - 1).map(lambda s: tuple(sorted(s))),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    top_ks = (
        None
        if family == "llama"
        else draw(st.none() | st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True).map(tuple))
    )
    scores = draw(st.permutations([(block, draw(st.sampled_from([0.1, 0.2, 0.3]))) for block in range(blocks)]))
    chosen = draw(
        st.sampled_from(
            [ExplicitRemovals(sets=tuple(sets)), Importance(file="s", path="s", sha256="0" * 64, scores=tuple(scores))]
        )
    )
    return checkpoint(family, files=draw(st.integers(1, 3)), **options), PlanRequest(chosen=chosen, top_ks=top_ks)


@settings(max_examples=150, deadline=None)
@given(requests())
def test_any_plan_holds_together(pair: tuple[Checkpoint, PlanRequest]) -> None:
    source, request = pair
    plan = make_plan(source, request=request)
    blocks, sizes = (
        source.config["num_hidden_layers"],
        {s.path: sum(t.source.bytes for t in s.tensors) for s in plan.shards},
    )
    assert len(set(ids(plan))) == len(plan.variants)
    assert len(sizes) == len(plan.shards)
    assert {path for variant in plan.variants for path in variant.shards} == set(sizes)
    assert plan.bytes == sum(sizes.values())
    for variant in plan.variants:
        assert variant.layers == tuple(sorted(set(variant.layers))) and variant.layers[0] == 0
        assert sorted((*variant.layers, *variant.removed)) == list(range(blocks))
        assert variant.bytes == sum(sizes[path] for path in variant.shards)
        assert 0 <= variant.shared_bytes <= variant.bytes
        assert 0 < variant.active_parameters <= variant.parameters
        assert variant.config["num_hidden_layers"] == len(variant.layers)
        _names_are_complete(source, plan, variant.id)


def _names_are_complete(source: Checkpoint, plan: Plan, variant_id: str) -> None:
    """The variant's shards hold each tensor of its own config's layout exactly once, each from the right block."""
    variant = next(v for v in plan.variants if v.id == variant_id)
    tensors = [tensor for shard in plan.shards if shard.path in variant.shards for tensor in shard.tensors]
    config = source.config | {"num_hidden_layers": len(variant.layers)}
    expected = {name: name for name, _ in tiny_shapes(config) if ".layers." not in name}
    for layer, block in enumerate(variant.layers):
        expected |= {
            f"model.layers.{layer}.{rest}": f"model.layers.{block}.{rest}"
            for rest, _ in block_shapes(source.config, block)
        }
    assert {tensor.name: tensor.source.name for tensor in tensors} == expected
    assert len(tensors) == len(expected)
