"""MolmoE for transformers: against the independent reference, generating, padding, saving, training."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, DynamicCache, GenerationConfig
from transformers.utils import logging as transformers_logging

from exporter.reference.golden_inputs import make_inputs
from runtime.modeling.configuration_trimoe_molmoe import TrimoeMolmoeConfig
from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM, TrimoeMolmoeModel
from tests.support.molmoe_reference import MolmoeReference
from tests.support.tiny_molmoe import tiny_molmoe_config, write_tiny_molmoe

LIST = [4, 1, 3, 2, 8, 5]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", autouse=True)
def without_progress_bars() -> Any:
    transformers_logging.disable_progress_bar()
    yield
    transformers_logging.enable_progress_bar()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_molmoe(tmp_path_factory.mktemp("molmoe"))


@pytest.fixture
def model(folder: Path) -> TrimoeMolmoeForCausalLM:
    return load(folder)


def load(folder: Path, **changes: Any) -> TrimoeMolmoeForCausalLM:
    config = TrimoeMolmoeConfig.from_pretrained(folder)
    for name, value in changes.items():
        setattr(config, name, value)
    model, info = TrimoeMolmoeForCausalLM.from_pretrained(folder, config=config, output_loading_info=True)
    assert not any(info.values()), info
    return model


def row(length: int, seed: int = 0) -> torch.Tensor:
    """Ids of both embedding tables."""
    return torch.randint(0, 144, (length,), generator=torch.Generator().manual_seed(seed))


def picture(config: TrimoeMolmoeConfig, length: int, *, crops: int = 3, seed: int = 0) -> dict[str, torch.Tensor]:
    """Crops with every kind of padding, an absent crop last, and positions for a part of their tokens."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = config.vision.grid
    tokens = -(-rows // config.image_pooling_h) * -(-columns // config.image_pooling_w)
    images = torch.randn(crops, rows * columns, 3 * config.vision.image_patch_size**2, generator=generator)
    masks = torch.tensor([0.0, 0.4, 1.0])[torch.randint(0, 3, (crops, rows * columns), generator=generator)]
    places = torch.full((crops * tokens,), -100)
    used = torch.randperm((crops - 1) * tokens, generator=generator)[: length // 2]
    places[used] = torch.randperm(length, generator=generator)[: len(used)]
    images[-1], masks[-1] = -1.0, -1.0
    return {"images": images, "image_masks": masks, "image_input_idx": places.reshape(crops, tokens)}


def batched(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value[None] for name, value in inputs.items()}


def error(got: torch.Tensor, want: torch.Tensor) -> float:
    return float((got.double() - want).abs().max() / want.abs().max())


VARIANTS: list[dict[str, Any]] = [
    {},
    {"n_kv_heads": 2},
    {"head_dim": 6},
    {"qkv_bias": True},
    {"clip_qkv": 0.7},
    {"weight_tying": True},
    {"mlp_hidden_size": 44},
    {"rope_theta": 500.0},
    {"vit_layers": [-1]},
    {"vit_layers": None},
    {"vit_layers": [3, -9, 0]},
    {"image_padding_embed": None},
    {"image_padding_embed": "pad_embed"},
    {"image_padding_embed": "regress"},
    {"image_pooling_2d": "attention"},
    {"image_pooling_2d": "attention_meanq"},
    {"image_pooling_2d": "stack"},
    {"image_pooling_2d": "none", "image_pooling_h": 1, "image_pooling_w": 1},
    {"image_pooling_h": 4, "image_pooling_w": 3},
    {"image_projector": "linear"},
    {"float32_attention": False},
    {"vision_backbone": {"image_num_key_value_heads": 1}},
    {"vision_backbone": {"image_num_pos": 26}},
    {"vision_backbone": {"image_default_input_size": [16, 28]}},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=[str(variant) for variant in VARIANTS])
def test_logits_of_text_and_images_equal_the_reference(variant: dict[str, Any], tmp_path: Path) -> None:
    folder = write_tiny_molmoe(tmp_path, seed=3, n_layers=3, **variant)
    model, reference, ids = load(folder), MolmoeReference(folder), row(17)
    inputs = picture(model.config, 17)
    with torch.no_grad():
        assert error(model(ids[None]).logits[0], reference.logits(ids)) < 1e-5
        assert error(model(ids[None], **batched(inputs)).logits[0], reference.logits(ids, **inputs)) < 1e-5


def test_a_list_of_top_k_changes_each_layer_as_in_the_reference(folder: Path) -> None:
    model, reference, ids = load(folder, top_k_per_layer=LIST), MolmoeReference(folder), row(17)
    inputs = picture(model.config, 17)
    assert [block.mlp.gate.top_k for block in model.model.transformer.blocks] == LIST
    with torch.no_grad():
        logits = model(ids[None], **batched(inputs)).logits[0]
    assert error(logits, reference.logits(ids, **inputs, top_k=LIST)) < 1e-5
    assert error(logits, reference.logits(ids, **inputs)) > 1e-2


def test_image_features_enter_where_image_input_idx_says_and_absent_crops_change_nothing(
    model: TrimoeMolmoeForCausalLM,
) -> None:
    ids, inputs = row(17), picture(model.config, 17)
    fewer = {name: value[:-1] for name, value in inputs.items()}
    with torch.no_grad():
        whole = model(ids[None], **batched(inputs)).logits
        assert torch.equal(whole, model(ids[None], **batched(fewer)).logits)
        assert not torch.allclose(whole, model(ids[None]).logits)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_equals_each_row_alone(model: TrimoeMolmoeForCausalLM, side: str) -> None:
    rows, inputs = [row(17), row(9, seed=1), row(12, seed=2)], picture(model.config, 9)
    ids, mask = torch.full((3, 17), 1), torch.zeros(3, 17, dtype=torch.long)
    spans = [slice(17 - len(one), 17) if side == "left" else slice(0, len(one)) for one in rows]
    for index, (one, span) in enumerate(zip(rows, spans, strict=True)):
        ids[index, span], mask[index, span] = one, 1
    images = {
        name: torch.full((3, *value.shape), -100 if name == "image_input_idx" else -1, dtype=value.dtype)
        for name, value in inputs.items()
    }
    for name, value in inputs.items():
        images[name][1] = value
    index = images["image_input_idx"]
    images["image_input_idx"] = torch.where(index < 0, index, index + spans[1].start)
    with torch.no_grad():
        logits = model(ids, attention_mask=mask, **images).logits
        for number, (one, span) in enumerate(zip(rows, spans, strict=True)):
            alone = model(one[None], **(batched(inputs) if number == 1 else {})).logits[0]
            torch.testing.assert_close(logits[number, span], alone, rtol=1e-5, atol=1e-5)


def test_ids_of_minus_one_are_padding_as_on_the_hub(model: TrimoeMolmoeForCausalLM) -> None:
    ids = torch.full((2, 12), -1)
    ids[0], ids[1, :7] = row(12), row(7, seed=1)
    with torch.no_grad():
        logits = model(ids).logits
        torch.testing.assert_close(logits[1, :7], model(ids[1:, :7]).logits[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("top_k", [None, LIST])
def test_generate_equals_a_decode_without_cache_token_by_token(
    folder: Path, top_k: list[int] | None, use_cache: bool
) -> None:
    model, reference = load(folder, top_k_per_layer=top_k), MolmoeReference(folder)
    rows, inputs = [row(13), row(6, seed=1)], picture(model.config, 6)
    ids = torch.stack([rows[0], torch.cat([torch.full((7,), 1), rows[1]])])
    mask = torch.ones_like(ids)
    mask[1, :7] = 0
    images = {name: torch.stack([torch.full_like(value, -1), value]) for name, value in inputs.items()}
    images["image_input_idx"] = torch.where(images["image_input_idx"] < 0, -100, images["image_input_idx"] + 7)
    output = model.generate(ids, attention_mask=mask, **images, max_new_tokens=6, do_sample=False, use_cache=use_cache)
    assert output[0, 13:].tolist() == reference.greedy(rows[0], 6, top_k=top_k)
    assert output[1, 13:].tolist() == reference.greedy(rows[1], 6, top_k=top_k, **inputs)


def test_logits_with_a_cache_equal_logits_without(model: TrimoeMolmoeForCausalLM) -> None:
    ids, inputs = row(14), batched(picture(model.config, 9))
    with torch.no_grad():
        whole = model(ids[None], **inputs).logits
        first = model(ids[None, :9], **inputs, use_cache=True)
        steps = [first.logits]
        for place in range(9, 14):
            output = model(ids[None, place : place + 1], past_key_values=first.past_key_values, use_cache=True)
            steps.append(output.logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-5, atol=1e-5)


def test_a_second_turn_on_the_cache_may_pass_the_first_turns_images_again(model: TrimoeMolmoeForCausalLM) -> None:
    ids, inputs = row(14), batched(picture(model.config, 9))
    with torch.no_grad():
        first = model(ids[None, :9], **inputs, use_cache=True)
        again = model(ids[None, 9:], past_key_values=first.past_key_values, **inputs)
        torch.testing.assert_close(again.logits, model(ids[None], **inputs).logits[:, 9:], rtol=1e-5, atol=1e-5)


def test_sampling_and_beams_take_images(model: TrimoeMolmoeForCausalLM) -> None:
    ids, inputs = row(9)[None], batched(picture(model.config, 9))
    torch.manual_seed(0)
    sampled = model.generate(ids, **inputs, max_new_tokens=5, do_sample=True, num_return_sequences=3)
    assert sampled.shape == (3, 14)
    torch.manual_seed(0)
    assert torch.equal(sampled, model.generate(ids, **inputs, max_new_tokens=5, do_sample=True, num_return_sequences=3))
    assert model.generate(ids, **inputs, max_new_tokens=5, num_beams=3, do_sample=False).shape == (1, 14)


def test_generate_from_batch_takes_what_the_hubs_method_took(model: TrimoeMolmoeForCausalLM) -> None:
    inputs = picture(model.config, 6)
    batch = {"input_ids": torch.full((2, 13), -1)}
    batch["input_ids"][0], batch["input_ids"][1, :6] = (
        row(13),
        row(6, seed=1),
    )  # trailing padding, as the hub's collator leaves it
    batch |= {name: torch.stack([torch.full_like(value, -1), value]) for name, value in inputs.items()}
    settings = GenerationConfig(max_new_tokens=4, do_sample=False)
    output = model.generate_from_batch(batch, settings)
    assert torch.equal(output[:, :13], batch["input_ids"])
    alone = model.generate(row(6, seed=1)[None], **batched(inputs), generation_config=settings)
    assert output[1, 13:].tolist() == alone[0, 6:].tolist()
    longer = batch | {"attention_mask": torch.cat([batch["input_ids"] != -1, torch.ones(2, 4).bool()], dim=1)}
    assert torch.equal(model.generate_from_batch(longer, settings), output)


def right_padded(model: TrimoeMolmoeForCausalLM) -> tuple[dict[str, torch.Tensor], list[list[int]]]:
    """A batch of a text and a shorter row with an image, padded on the right, and the ids that each row alone is
    followed by."""
    inputs = picture(model.config, 6)
    rows = [row(13), row(6, seed=1)]
    ids = torch.stack([rows[0], torch.cat([rows[1], torch.full((7,), 1)])])
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    images = {
        name: torch.stack([torch.full_like(value, -100 if name == "image_input_idx" else -1), value])
        for name, value in inputs.items()
    }
    alone = [
        model.generate(one[None], **more, max_new_tokens=6, do_sample=False)
        for one, more in zip(rows, ({}, batched(inputs)), strict=True)
    ]
    follow = [new[0, len(one) :].tolist() for new, one in zip(alone, rows, strict=True)]
    return {"input_ids": ids, "attention_mask": mask, **images}, follow


@pytest.mark.parametrize(
    "settings",
    [{}, {"use_cache": False}, {"return_dict_in_generate": True}, {"num_return_sequences": 2, "num_beams": 2}],
    ids=str,
)
def test_rows_padded_on_the_right_are_followed_by_what_each_row_alone_is(
    folder: Path, settings: dict[str, Any]
) -> None:
    model = load(folder, top_k_per_layer=LIST)
    batch, follow = right_padded(model)
    before = {name: value.clone() for name, value in batch.items()}
    output = model.generate(**batch, **settings, max_new_tokens=6, do_sample=False)
    sequences = output.sequences if settings.get("return_dict_in_generate") else output
    times = settings.get("num_return_sequences", 1)
    assert torch.equal(sequences[:, :13], batch["input_ids"].repeat_interleave(times, dim=0))
    assert all(torch.equal(value, before[name]) for name, value in batch.items())
    if times == 1:
        assert sequences[:, 13:].tolist() == follow


def test_ids_of_minus_one_are_padding_in_generate_too(model: TrimoeMolmoeForCausalLM) -> None:
    batch, follow = right_padded(model)
    ids = batch["input_ids"].masked_fill(batch.pop("attention_mask") == 0, -1)
    output = model.generate(**(batch | {"input_ids": ids}), max_new_tokens=6, do_sample=False)
    assert output[:, 13:].tolist() == follow
    assert torch.equal(output[:, :13], ids)


def test_trailing_padding_that_cannot_be_turned_around_is_refused(model: TrimoeMolmoeForCausalLM) -> None:
    batch, _ = right_padded(model)
    text = {name: batch[name] for name in ("input_ids", "attention_mask")}
    said = r"attention_mask ends in padding at rows \[1\]: pad on the left"
    with pytest.raises(ValueError, match=said):
        model.generate(**text, past_key_values=DynamicCache(config=model.config), max_new_tokens=2)
    with pytest.raises(ValueError, match=said):
        model.generate(
            text["input_ids"], pad_token_id=1, eos_token_id=2, max_new_tokens=2
        )  # transformers makes a mask from the padding token
    with pytest.raises(ValueError, match="position_ids cannot be given with rows that end in padding: pad on the left"):
        model.generate(**text, position_ids=torch.arange(13).expand(2, -1), max_new_tokens=2)


@pytest.mark.parametrize("shards", [1, 4])
def test_a_saved_model_keeps_the_list_the_tensors_and_the_logits(tmp_path: Path, shards: int) -> None:
    source = write_tiny_molmoe(tmp_path / "source", shards=shards)
    model, ids = load(source, top_k_per_layer=LIST), row(11)
    model.save_pretrained(tmp_path / "saved")
    again, info = AutoModelForCausalLM.from_pretrained(
        tmp_path / "saved", trust_remote_code=True, output_loading_info=True
    )
    assert not any(info.values()), info
    assert type(again).__module__.startswith("transformers_modules.")
    assert again.config.top_k_per_layer == LIST
    again.save_pretrained(tmp_path / "twice")
    twice = AutoModelForCausalLM.from_pretrained(tmp_path / "twice", trust_remote_code=True)
    with torch.no_grad():
        logits = model(ids[None]).logits
        assert torch.equal(logits, again(ids[None]).logits)
        assert torch.equal(logits, twice(ids[None]).logits)
    written, given = load_file(tmp_path / "twice" / "model.safetensors"), {}
    for file in source.glob("*.safetensors"):
        given |= load_file(file)
    assert written.keys() == given.keys()
    assert all(torch.equal(written[name], given[name]) for name in given)


def test_an_artifact_is_not_loaded_without_its_code(folder: Path, tmp_path: Path) -> None:
    load(folder, top_k_per_layer=LIST).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="trust_remote_code"):
        AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=False)


def test_a_saved_folder_carries_only_our_modeling_files(model: TrimoeMolmoeForCausalLM, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    code = {name for name in (path.name for path in tmp_path.iterdir()) if name.endswith(".py")}
    assert "modeling_trimoe_molmoe.py" in code
    assert all(name.endswith("_trimoe_molmoe.py") for name in code)


def test_tied_weights_have_no_head_on_disk(tmp_path: Path) -> None:
    model = load(write_tiny_molmoe(tmp_path / "source", weight_tying=True))
    model.save_pretrained(tmp_path / "saved")
    assert "lm_head.weight" not in load_file(tmp_path / "saved" / "model.safetensors")
    assert load(tmp_path / "saved").config.tie_word_embeddings


@pytest.mark.parametrize("implementation", ["eager", "batched_mm", "grouped_mm"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_every_implementation_of_experts_and_attention_gives_the_same_logits(
    folder: Path, implementation: str, attention: str
) -> None:
    model, ids = load(folder, top_k_per_layer=LIST), row(11)
    inputs = batched(picture(model.config, 11))
    with torch.no_grad():
        want = model(ids[None], **inputs).logits
        model.set_experts_implementation(implementation)
        model.set_attn_implementation(attention)
        assert model.config._experts_implementation == implementation
        torch.testing.assert_close(model(ids[None], **inputs).logits, want, rtol=1e-4, atol=1e-5)


def test_expert_widths_that_grouped_mm_cannot_take_fall_back_to_eager(tmp_path: Path) -> None:
    model = load(write_tiny_molmoe(tmp_path, n_layers=1, mlp_hidden_size=44))
    assert model.config._experts_implementation == "eager"
    with pytest.raises(ValueError, match="'grouped_mm' needs multiples of 8, but the width of an expert is 22"):
        model.set_experts_implementation("grouped_mm")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_the_reference(folder: Path, dtype: torch.dtype) -> None:
    config = TrimoeMolmoeConfig.from_pretrained(folder)
    model = TrimoeMolmoeForCausalLM.from_pretrained(folder, config=config, dtype=dtype)
    ids, inputs = row(11), picture(config, 11)
    with torch.no_grad():
        logits = model(ids[None], **batched(inputs)).logits
    assert logits.dtype == dtype
    assert error(logits[0], MolmoeReference(folder).logits(ids, **inputs)) < 0.2
    assert model.generate(ids[None], **batched(inputs), max_new_tokens=3, do_sample=False).shape == (1, 14)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_grid_other_than_the_trained_one_is_resized_in_half_precision(dtype: torch.dtype, tmp_path: Path) -> None:
    model = load(write_tiny_molmoe(tmp_path, n_layers=1, vision_backbone={"image_num_pos": 26}))
    tower = model.model.vision_backbone.image_vit
    exact = tower._positions().detach()
    resized = tower.to(dtype)._positions()
    assert resized.dtype == dtype and resized.shape == exact.shape
    assert error(resized.detach(), exact) < 0.02


def test_rotary_angles_stay_exact_in_half_precision(model: TrimoeMolmoeForCausalLM) -> None:
    positions = torch.tensor([[0, 499, 30000]])
    exact = model.model._rotary(positions, torch.float32)
    for part, want in zip(model.half().model._rotary(positions, torch.float16), exact, strict=True):
        assert part.dtype == torch.float32
        assert torch.equal(part, want)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_reaches_every_parameter_that_the_logits_depend_on(folder: Path, checkpointing: bool) -> None:
    model = load(folder, use_cache=False)
    model.set_experts_implementation("grouped_mm")
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    model.train()
    ids = row(17).clamp(max=127)[None]
    loss = model(ids, **batched(picture(model.config, 17)), labels=ids).loss
    loss.backward()
    silent = {
        name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()
    }
    unused = {
        name for name, _ in model.named_parameters() if ".resblocks.9." in name
    }  # the last layer feeds nothing: vit_layers is [-2, -9]
    # A bias of the keys shifts all scores of a query alike, so its gradient is zero but for rounding.
    assert {name for name in silent - unused if "new_embedding" not in name and ".wk.bias" not in name} == set()
    assert unused <= silent
    with torch.no_grad():
        assert float(loss) == pytest.approx(
            float(load(folder)(ids, **batched(picture(model.config, 17)), labels=ids).loss), rel=1e-5
        )


def test_residual_dropout_acts_in_training_only(folder: Path) -> None:
    model, ids = load(folder, residual_dropout=0.5, embedding_dropout=0.5), row(9)[None]
    with torch.no_grad():
        assert torch.equal(model(ids).logits, load(folder)(ids).logits)
        assert not torch.allclose(model.train()(ids).logits, model.eval()(ids).logits)


def test_blocks_can_be_replaced_by_recorders_and_driven_again(model: TrimoeMolmoeForCausalLM) -> None:
    class Recorder(torch.nn.Module):
        def forward(self, hidden_states: torch.Tensor, **kwargs: Any) -> torch.Tensor:
            calls.append((hidden_states, kwargs))
            return hidden_states

    calls: list[tuple[torch.Tensor, dict[str, Any]]] = []
    ids = row(11)[None]
    with torch.no_grad():
        want = model(ids).logits
        blocks = list(model.model.transformer.blocks)
        for index in range(len(blocks)):
            model.model.transformer.blocks[index] = Recorder()
        model(ids)
        hidden = calls[0][0]
        for block, (_, kwargs) in zip(blocks, calls, strict=True):
            hidden = block(hidden, **kwargs)
        assert torch.equal(model.lm_head(model.model.transformer.ln_f(hidden)), want)


def test_hidden_states_attentions_and_router_logits_are_returned_on_request(folder: Path) -> None:
    model = load(folder)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        output = model(row(5)[None], output_hidden_states=True, output_attentions=True, output_router_logits=True)
    assert [state.shape for state in output.hidden_states] == [(1, 5, 32)] * 7
    assert [weights.shape for weights in output.attentions] == [(1, 4, 5, 5)] * 6
    assert [logits.shape for logits in output.router_logits] == [(5, 8)] * 6
    assert torch.equal(model.lm_head(output.hidden_states[-1]), output.logits)


def test_logits_to_keep_and_the_hubs_last_logits_only_agree(model: TrimoeMolmoeForCausalLM) -> None:
    ids = row(5)[None]
    with torch.no_grad():
        assert torch.equal(model(ids, last_logits_only=True).logits, model(ids, logits_to_keep=1).logits)
        assert model(ids, logits_to_keep=2).logits.shape == (1, 2, 128)


@pytest.mark.parametrize("pooling", ["attention-meanq", "attention", "stack"])
def test_weights_that_want_gradients_give_the_same_bits_as_those_that_do_not(pooling: str, tmp_path: Path) -> None:
    model = TrimoeMolmoeForCausalLM.from_pretrained(
        write_tiny_molmoe(tmp_path, n_layers=2, image_pooling_2d=pooling)
    ).eval()
    inputs = make_inputs(tiny_molmoe_config(image_pooling_2d=pooling), vocabulary=100)
    with torch.no_grad():
        expected = model(**inputs).logits
        assert torch.equal(model.requires_grad_(False)(**inputs).logits, expected)


def test_a_model_without_vision_reads_text_and_refuses_images(tmp_path: Path) -> None:
    folder = write_tiny_molmoe(tmp_path, vision_backbone=None)
    model, ids = load(folder), row(7)
    with torch.no_grad():
        assert error(model(ids[None]).logits[0], MolmoeReference(folder).logits(ids)) < 1e-5
    with pytest.raises(ValueError, match=r"config.vision_backbone is null: this model has no vision tower"):
        model(ids[None], images=torch.zeros(1, 1, 36, 48))


def test_the_model_class_without_head_loads_from_the_same_folder(folder: Path, model: TrimoeMolmoeForCausalLM) -> None:
    bare = TrimoeMolmoeModel.from_pretrained(folder, config=TrimoeMolmoeConfig.from_pretrained(folder))
    with torch.no_grad():
        assert torch.equal(bare(row(5)[None]).last_hidden_state, model.model(row(5)[None]).last_hidden_state)


def test_new_models_start_with_finite_logits_and_every_parameter_set() -> None:
    values = {
        key: value
        for key, value in tiny_molmoe_config().items()
        if key not in ("model_type", "auto_map", "architectures")
    }
    model = TrimoeMolmoeForCausalLM(TrimoeMolmoeConfig(**values)).eval()
    assert model.model.transformer.wte.embedding.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.model.vision_backbone.image_vit.positional_embedding.std().item() == pytest.approx(24**-0.5, rel=0.1)
    with torch.no_grad():
        assert model(row(9)[None], **batched(picture(model.config, 9))).logits.isfinite().all()


def test_a_configuration_changed_after_reading_is_checked_before_a_model_is_built(folder: Path) -> None:
    config = TrimoeMolmoeConfig.from_pretrained(folder)
    config.top_k_per_layer = LIST[:4]
    with pytest.raises(ValueError, match=r"config.top_k_per_layer has 4 values, the model has 6 layers"):
        TrimoeMolmoeForCausalLM(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"image_masks": None},
            "image_masks is required with images: the model's image_padding_embed is 'pad_and_partial_pad'",
        ),
        ({"image_masks": torch.ones(1, 3, 35)}, r"image_masks has shape \(1, 3, 35\); the images need \(1, 3, 36\)"),
        (
            {"images": torch.zeros(1, 3, 35, 48)},
            r"images has shape \(1, 3, 35, 48\); this model needs \[batch, crops, 36, 48\]",
        ),
        ({"image_input_idx": None}, r"image_input_idx has shape None; the images need \(1, 3, 9\)"),
        (
            {"image_input_idx": torch.zeros(1, 3, 8).long()},
            r"image_input_idx has shape \(1, 3, 8\); the images need \(1, 3, 9\)",
        ),
        ({"image_input_idx": torch.full((1, 3, 9), 17)}, "image_input_idx points at position 17, the rows have 17"),
        (
            {"input_ids": None, "inputs_embeds": torch.zeros(1, 17, 32)},
            "images go with input_ids, not with inputs_embeds",
        ),
        ({"inputs_embeds": torch.zeros(1, 17, 32)}, "exactly one of input_ids and inputs_embeds is needed"),
        ({"subsegment_ids": torch.zeros(1, 17)}, "the keyword subsegment_ids is not supported"),
        ({"attention_bias": torch.zeros(1, 1, 17, 17)}, "the keyword attention_bias is not supported"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    model: TrimoeMolmoeForCausalLM, changes: dict[str, Any], message: str
) -> None:
    inputs = {"input_ids": row(17)[None], **batched(picture(model.config, 17))} | changes
    with pytest.raises(ValueError, match=message):
        model(**inputs)
