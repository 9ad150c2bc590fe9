"""MolmoE's processor: crops and tokens on small images, one sample as on the hub, batches, what is refused."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForCausalLM, AutoProcessor, PreTrainedTokenizerFast

from runtime.modeling.configuration_trimoe_molmoe import TrimoeMolmoeConfig
from runtime.modeling.crops_trimoe_molmoe import (
    COLUMN,
    END,
    PATCH,
    START,
    cut,
    resize_and_pad,
    select_tiling,
    to_patches,
    to_rgb,
)
from runtime.modeling.image_processing_trimoe_molmoe import TrimoeMolmoeImageProcessor
from runtime.modeling.modeling_trimoe_molmoe import TrimoeMolmoeForCausalLM
from runtime.modeling.processing_trimoe_molmoe import TrimoeMolmoeProcessor
from runtime.modeling.resize_trimoe_molmoe import resize
from tests.support.molmoe_reference import MolmoeReference
from tests.support.paths import MODELING
from tests.support.tiny_molmoe import write_tiny_molmoe
from tests.support.tiny_tokenizer import IMAGE_TOKENS, tiny_tokenizer, write_tiny_processor_files

TINY = {
    "base_image_input_size": (24, 24),
    "image_patch_size": 4,
    "image_token_length_h": 3,
    "image_token_length_w": 3,
    "overlap_margins": (2, 2),
}
GEOMETRIES: list[dict[str, Any]] = [
    {**TINY, "max_crops": 1},
    {**TINY, "max_crops": 6},
    {**TINY, "max_crops": 12, "use_col_tokens": False},
    {**TINY, "crop_mode": "resize"},
    {**TINY, "base_image_input_size": (24, 32), "image_token_length_w": 4, "crop_mode": "resize"},
    {**TINY, "overlap_margins": (0, 2)},
    {**TINY, "base_image_input_size": 28, "image_token_length_h": 4, "image_token_length_w": 4},
    {
        **TINY,
        "base_image_input_size": 72,
        "image_token_length_h": 6,
        "image_token_length_w": 9,
        "overlap_margins": (6, 6),
        "image_pooling_h": 3,
    },
]
SIZES = [(10, 10), (24, 24), (40, 57), (120, 31), (17, 90)]


def image(height: int, width: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_processor_files(write_tiny_molmoe(tmp_path_factory.mktemp("molmoe")))


@pytest.fixture(scope="module")
def processor(folder: Path) -> TrimoeMolmoeProcessor:
    return TrimoeMolmoeProcessor.from_pretrained(folder)


def test_a_hub_folder_gives_our_processor_with_the_hubs_settings(processor: TrimoeMolmoeProcessor) -> None:
    assert processor.image_processor.max_crops == 6
    assert processor.image_processor.base_image_input_size == [24, 24]
    assert processor.image_processor.crop_mode == "overlap-and-resize-c2"


@pytest.mark.parametrize(
    ("height", "width", "crop", "most", "tiling"),
    [
        (100, 100, 100, 12, (1, 1)),
        (100, 200, 100, 12, (1, 2)),
        (300, 100, 100, 12, (3, 1)),
        (150, 150, 100, 12, (2, 2)),
        (1000, 1000, 100, 12, (3, 3)),
        (1000, 4000, 100, 12, (2, 6)),
        (50, 50, 100, 12, (1, 1)),
        (0, 150, 100, 12, (1, 2)),
        (10, 1000, 100, 1, (1, 1)),
    ],
)
def test_the_tiling_enlarges_least_and_else_shrinks_least(
    height: int, width: int, crop: int, most: int, tiling: tuple[int, int]
) -> None:
    assert select_tiling(height, width, crop, most) == tiling


def test_an_image_is_fitted_in_the_middle_of_black() -> None:
    pixels, mask = resize_and_pad(np.full((10, 20, 3), 255, dtype=np.uint8), (8, 8))
    assert mask.sum(axis=1).tolist() == [0, 0, 8, 8, 8, 8, 0, 0]
    np.testing.assert_allclose(pixels, np.repeat(mask[..., None], 3, axis=2), atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (37, 900), (300, 300), (500, 333), (1200, 40), (1500, 2000)])
@pytest.mark.parametrize("new", [(1, 5), (16, 16), (336, 336), (24, 300), (784, 1008)])
def test_resized_pixels_are_those_of_torch(size: tuple[int, int], new: tuple[int, int]) -> None:
    pixels = image(*size).astype(np.float32) / 255
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(pixels).permute(2, 0, 1)[None], new, mode="bilinear", align_corners=False, antialias=True
    )
    np.testing.assert_allclose(resize(pixels, new), wanted[0].permute(1, 2, 0).numpy(), rtol=0, atol=3e-6)


def test_patches_run_row_by_row_and_pixels_within_them_too() -> None:
    pixels = np.arange(4 * 6 * 3).reshape(1, 4, 6, 3)
    patches = to_patches(pixels, 2)
    assert patches.shape == (1, 6, 12)
    assert np.array_equal(patches[0, 1], pixels[0, 0:2, 2:4].reshape(-1))
    assert np.array_equal(patches[0, 3], pixels[0, 2:4, 0:2].reshape(-1))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_every_image_token_gets_exactly_one_feature_in_reading_order(
    geometry: dict[str, Any], size: tuple[int, int]
) -> None:
    processor = TrimoeMolmoeImageProcessor(**geometry)
    settings, crops = processor.settings(), processor.crop(image(*size))
    used = crops.positions[crops.positions >= 0]
    assert sorted(used.tolist()) == np.flatnonzero(crops.layout == PATCH).tolist()
    assert crops.patches.shape == (
        len(crops.positions),
        settings.patch_grid[0] * settings.patch_grid[1],
        3 * settings.patch_size**2,
    )
    assert crops.masks.shape == crops.patches.shape[:2]
    assert crops.positions[0].tolist() == sorted(used.tolist())[: crops.positions.shape[1]]
    kinds = crops.layout.tolist()
    assert kinds.count(START) == kinds.count(END) == (1 if settings.crop_mode == "resize" else 2)
    assert (COLUMN in kinds) == settings.use_col_tokens


def test_neighbouring_features_of_different_crops_are_neighbouring_tokens() -> None:
    """Paint every patch of the fitted picture with its own colour, and read the colours back in the order of the
    tokens."""
    single = {"image_pooling_h": 1, "image_pooling_w": 1, "image_token_length_h": 6, "image_token_length_w": 6}
    settings = TrimoeMolmoeImageProcessor(**{**TINY, **single}, max_crops=6, do_normalize=False).settings()
    height, width = (
        8 * 2 + 16,
        8 * 3 + 16,
    )  # the size that 2x3 tiles of 2 inner patches give with margins of 2 + 2 patches
    rows, columns = height // 4, width // 4
    colours = np.zeros((rows, columns, 3), dtype=np.uint8)
    colours[..., 0], colours[..., 1] = np.arange(rows)[:, None], np.arange(columns)
    crops = cut(np.repeat(np.repeat(colours, 4, axis=0), 4, axis=1), settings)
    seen = {
        int(place): crop[index, :2] * 255
        for crop, row in zip(crops.patches[1:], crops.positions[1:], strict=True)
        for index, place in enumerate(row)
    }
    read = np.stack([seen[place] for place in sorted(seen) if place >= 0]).round().astype(int)
    assert np.array_equal(read.reshape(rows, columns, 2), colours[..., :2])


def test_masks_are_shares_of_picture_shifted_by_one_crop_as_the_checkpoint_was_trained() -> None:
    crops = TrimoeMolmoeImageProcessor(**TINY, max_crops=6).crop(image(8, 20))
    assert (crops.masks[-1] == -1).all()
    assert (crops.masks[:-1] >= 0).all()
    assert set(np.unique(crops.masks[:-1]).tolist()) > {0.0, 1.0}


def test_one_sample_has_the_hubs_keys_without_batch_dimension(processor: TrimoeMolmoeProcessor) -> None:
    sample = processor.process(images=[image(40, 57)], text="what?")
    tokens = processor.tokenizer
    crops = processor.image_processor.crop(image(40, 57))
    assert set(sample) == {"input_ids", "images", "image_masks", "image_input_idx"}
    assert sample["input_ids"][0] == tokens.eos_token_id  # stands in for the missing bos
    text = tokens.decode(sample["input_ids"][1 + len(crops.layout) :])
    assert text == " User: what? Assistant:"
    assert sample["images"].dtype == torch.float32
    ids = sample["input_ids"][sample["image_input_idx"][sample["image_input_idx"] >= 0]]
    assert set(ids.tolist()) == {tokens.convert_tokens_to_ids("<im_patch>")}
    assert sample["image_input_idx"].min() == -100
    assert np.array_equal(sample["images"].numpy(), crops.patches)


def test_the_format_of_the_prompt_can_be_chosen(processor: TrimoeMolmoeProcessor) -> None:
    def text(**choices: Any) -> str:
        ids = processor.process(text="hi", **choices)["input_ids"]
        return str(processor.tokenizer.decode(ids[1:]))

    assert text() == " User: hi Assistant:"
    assert text(always_start_with_space=False) == "User: hi Assistant:"
    assert text(message_format="none") == " hi"
    ids = processor.tokenizer.encode("hi", add_special_tokens=False)
    assert processor.process(tokens=ids)["input_ids"].tolist() == [processor.tokenizer.eos_token_id, *ids]


def test_a_tokenizer_with_a_bos_token_starts_with_it(processor: TrimoeMolmoeProcessor) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.bos_token = "<|padding|>"
    assert (
        TrimoeMolmoeProcessor(processor.image_processor, tokenizer).process(text="hi")["input_ids"][0]
        == tokenizer.pad_token_id
    )


def test_images_go_where_the_text_says(processor: TrimoeMolmoeProcessor) -> None:
    pictures = [image(20, 20), image(24, 60, seed=1)]
    crops = [processor.image_processor.crop(one) for one in pictures]
    sample = processor.process(images=pictures, text="a<|image|>b<|image|>c", message_format="none")
    ids = sample["input_ids"].tolist()
    start = processor.tokenizer.convert_tokens_to_ids("<im_start>")
    letters = [ids.index(processor.tokenizer.convert_tokens_to_ids(letter)) for letter in "abc"]
    assert letters[1] - letters[0] - 1 == len(crops[0].layout)
    assert letters[2] - letters[1] - 1 == len(crops[1].layout)
    assert ids[letters[0] + 1] == ids[letters[1] + 1] == start
    second = sample["image_input_idx"][len(crops[0].patches) :]
    assert second[second >= 0].min() > letters[1]
    leading = processor.process(images=pictures, text="abc", message_format="none")["input_ids"].tolist()
    assert leading[1] == start
    assert len(leading) == len(ids)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("geometry", [{}, {"max_crops": 2}, {"crop_mode": "resize"}], ids=str)
def test_a_batch_holds_the_samples_and_padding(
    processor: TrimoeMolmoeProcessor, side: str, geometry: dict[str, Any]
) -> None:
    texts, pictures = ["what?", "how many digits?", "a"], [image(40, 57), None, [image(10, 10), image(24, 70)]]
    batch = processor(images=pictures, text=texts, padding=True, padding_side=side, **geometry)
    for index, (text, picture) in enumerate(zip(texts, pictures, strict=True)):
        sample = processor.process(images=picture, text=text, **geometry)
        length = len(sample["input_ids"])
        kept = batch["attention_mask"][index].bool()
        assert kept.sum() == length
        assert kept[-1 if side == "left" else 0]
        assert torch.equal(batch["input_ids"][index][kept], sample["input_ids"])
        if picture is None:
            assert (batch["images"][index] == -1).all()
            assert (batch["image_input_idx"][index] == -100).all()
            continue
        crops, shift = len(sample["images"]), int(kept.nonzero()[0])
        assert torch.equal(batch["images"][index, :crops], sample["images"])
        assert torch.equal(batch["image_masks"][index, :crops], sample["image_masks"])
        expected = torch.where(sample["image_input_idx"] < 0, -100, sample["image_input_idx"] + shift)
        assert torch.equal(batch["image_input_idx"][index, :crops], expected)
        assert (batch["image_input_idx"][index, crops:] == -100).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_answers_as_each_sample_alone(folder: Path, processor: TrimoeMolmoeProcessor, side: str) -> None:
    model = TrimoeMolmoeForCausalLM.from_pretrained(folder, config=TrimoeMolmoeConfig.from_pretrained(folder))
    reference = MolmoeReference(folder)
    texts, pictures = ["what?", "how many digits?", "a"], [image(40, 57), None, image(12, 70)]
    batch = processor(images=pictures, text=texts, padding=True, padding_side=side)
    with torch.no_grad():
        logits = model(**batch).logits
    for index, (text, picture) in enumerate(zip(texts, pictures, strict=True)):
        sample = processor.process(images=picture, text=text)
        want = reference.logits(sample.pop("input_ids"), **sample)
        got = logits[index][batch["attention_mask"][index].bool()]
        assert float((got - want).abs().max() / want.abs().max()) < 1e-5
    if side == "left":
        output = model.generate(**batch, max_new_tokens=4, do_sample=False)
        for index, (text, picture) in enumerate(zip(texts, pictures, strict=True)):
            alone = model.generate(**processor(images=picture, text=text), max_new_tokens=4, do_sample=False)
            assert output[index, -4:].tolist() == alone[0, -4:].tolist()


def test_texts_alone_have_no_image_keys_and_max_length_is_kept(processor: TrimoeMolmoeProcessor) -> None:
    batch = processor(text=["a", "bcd"], padding="max_length", max_length=40, return_tensors="np")
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch["input_ids"].shape == (2, 40)
    assert isinstance(batch["input_ids"], np.ndarray)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "LA"])
def test_images_of_every_8_bit_mode_become_rgb(mode: str) -> None:
    picture = Image.fromarray(image(9, 12)).convert(mode)
    assert np.array_equal(to_rgb(picture), np.array(picture.convert("RGB")))


def test_a_palette_with_transparency_warns_nobody() -> None:
    picture = Image.fromarray(image(9, 12)).convert("P")
    picture.info["transparency"] = bytes(range(256))
    assert to_rgb(picture).shape == (9, 12, 3)


def test_the_orientation_a_camera_stored_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    stored = io.BytesIO()
    Image.fromarray(image(9, 12)).save(stored, "PNG", exif=exif)
    assert np.array_equal(to_rgb(Image.open(stored)), np.rot90(image(9, 12), -1))


def test_arrays_of_grey_and_alpha_become_rgb() -> None:
    pixels = image(9, 12)
    assert np.array_equal(to_rgb(pixels), pixels)
    assert np.array_equal(to_rgb(np.dstack([pixels, pixels[..., :1]])), pixels)
    for grey in (pixels[..., 0], pixels[..., :1], pixels[..., 0].astype(np.int64)):
        assert np.array_equal(to_rgb(grey)[..., 2], pixels[..., 0])


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((4, 4, 3), dtype=np.float32), "an image array has dtype float32; supported: integers in 0–255"),
        (np.full((4, 4), 256), "an image array has dtype int64; supported: integers in 0–255"),
        (np.zeros((4, 4, 2), dtype=np.uint8), r"an image array has shape \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), dtype=np.uint8), r"an image array has shape \(0, 4, 3\)"),
        ("photo.png", r"an image array has shape \(\)"),
        (Image.new("I;16", (4, 4)), "images of mode 'I;16' have no fixed range of values"),
        (
            np.zeros((1, 2000, 3), dtype=np.uint8),
            "an image of 1x2000 px is too narrow: fitted into 24x24 px it would be 0x24",
        ),
    ],
)
def test_images_that_cannot_be_read_are_refused(processor: TrimoeMolmoeProcessor, picture: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        processor.process(images=[picture], text="what?")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_mode": "patchify"}, "crop_mode is 'patchify'; supported: 'overlap-and-resize-c2', 'resize'"),
        ({"max_crops": 0}, "max_crops, image_patch_size and image_pooling_h/w have to be at least 1"),
        ({"base_image_input_size": [24, 30]}, r"base_image_input_size is \[24, 30\], not whole patches of 4 px"),
        (
            {"base_image_input_size": [24, 32], "image_token_length_w": 4},
            r"base_image_input_size is \[24, 32\]; 'overlap-and-resize-c2' needs square",
        ),
        ({"base_image_input_size": [24]}, r"base_image_input_size is \[24\]; supported: two integers"),
        ({"image_token_length_w": 4}, "image_token_length_h/w is 3x4, but 6x6 patches pooled 2x2 give 3x3 tokens"),
        ({"overlap_margins": [4, 2]}, r"overlap_margins \[4, 2\] leave nothing of the 6 patches of a crop"),
        ({"overlap_margins": [1, 2]}, r"overlap_margins \[1, 2\] are not whole pooling windows of 2x2 patches"),
        ({"image_mean": [0.5, 0.5]}, r"image_mean is \[0.5, 0.5\]; supported: a number or three numbers"),
    ],
)
def test_a_geometry_that_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrimoeMolmoeImageProcessor(**{**TINY, **changes})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": "a<|image|>"}, r"the text has 1 <\|image\|> for 0 images"),
        ({"text": "a<|image|>", "images": [image(9, 9)] * 2}, r"the text has 1 <\|image\|> for 2 images"),
        ({"images": image(9, 9)}, "exactly one of text and tokens is needed"),
        ({"text": ["a", 1], "padding": True}, "a prompt is 1; supported: a string"),
        ({"text": ["a", "b"], "images": [image(9, 9)]}, "1 entries of images for 2 prompts"),
        ({"text": ["a", "bc"]}, "the samples have 20 to 21 tokens; batching them needs padding=True"),
        (
            {"text": ["a", "bc"], "padding": "max_length", "max_length": 20},
            "with max_length 20, but the longest sample has 21 tokens",
        ),
        ({"text": "a", "padding": "longer"}, "padding is 'longer' on the 'left'"),
        ({"text": "a", "padding_side": "top"}, "padding is False on the 'top'"),
        ({"text": "a", "return_tensors": "tf"}, "return_tensors is 'tf'; supported: 'pt', 'np'"),
        ({"text": "a", "message_format": "chat"}, "message_format is 'chat'; supported: 'role', 'none'"),
        ({"text": "a", "images": image(9, 9), "size": 3}, r"unknown image settings \['size'\]; known: max_crops"),
    ],
)
def test_calls_that_make_no_sense_are_refused(
    processor: TrimoeMolmoeProcessor, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        processor(**arguments)


@pytest.mark.parametrize("missing", IMAGE_TOKENS)
def test_a_tokenizer_without_an_image_token_is_refused(
    processor: TrimoeMolmoeProcessor, missing: str, tmp_path: Path
) -> None:
    tiny_tokenizer().save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    stored["added_tokens"] = [token for token in stored["added_tokens"] if token["content"] != missing]
    (tmp_path / "tokenizer.json").write_text(json.dumps(stored), "utf-8")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"), eos_token="<|endoftext|>")
    with pytest.raises(ValueError, match="the tokenizer has no token"):
        TrimoeMolmoeProcessor(processor.image_processor, tokenizer)


def test_the_image_processor_alone_pads_crops(processor: TrimoeMolmoeProcessor) -> None:
    output = processor.image_processor([image(40, 57), image(10, 10)], return_tensors="pt")
    assert output["images"].shape == (2, 7, 36, 48)
    assert (output["images"][1, 2:] == -1).all()
    assert output["image_masks"].shape == (2, 7, 36)
    assert "image_masks" not in processor.image_processor(image(10, 10), image_padding_mask=False)


def test_a_saved_processor_loads_through_auto_classes_and_keeps_every_field(
    processor: TrimoeMolmoeProcessor, tmp_path: Path
) -> None:
    custom = TrimoeMolmoeImageProcessor(
        **TINY, max_crops=3, use_col_tokens=False, image_mean=0.5, image_std=0.25, image_padding_mask=False
    )
    TrimoeMolmoeProcessor(custom, processor.tokenizer).save_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path, trust_remote_code=True)
    assert type(again).__module__.startswith("transformers_modules.")
    alone = AutoImageProcessor.from_pretrained(tmp_path, trust_remote_code=True)
    assert repr(alone.settings()) == repr(again.image_processor.settings()) == repr(custom.settings())
    want = TrimoeMolmoeProcessor(custom, processor.tokenizer).process(images=[image(40, 57)], text="what?")
    got = again.process(images=[image(40, 57)], text="what?")
    assert set(got) == set(want) == {"input_ids", "images", "image_input_idx"}
    assert all(torch.equal(got[key], want[key]) for key in want)


def test_a_folder_put_together_as_an_exporter_does_loads_through_auto_classes(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        shutil.copy(file, tmp_path)
    for file in MODELING.glob("*_trimoe_molmoe.py"):
        shutil.copy(file, tmp_path)
    edit(
        tmp_path / "config.json",
        model_type="trimoe_molmoe",
        top_k_per_layer=[4, 1, 2, 1, 1, 1],
        architectures=["TrimoeMolmoeForCausalLM"],
        auto_map=AUTO_MAP,
    )
    edit(tmp_path / "preprocessor_config.json", auto_map=AUTO_MAP, image_processor_type="TrimoeMolmoeImageProcessor")
    model = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True)
    processor = AutoProcessor.from_pretrained(tmp_path, trust_remote_code=True)
    output = model.generate(**processor(images=image(40, 57), text="what?"), max_new_tokens=2, do_sample=False)
    assert processor.batch_decode(output[:, -2:])
    assert [block.mlp.gate.top_k for block in model.model.transformer.blocks] == [4, 1, 2, 1, 1, 1]


AUTO_MAP = {
    "AutoConfig": "configuration_trimoe_molmoe.TrimoeMolmoeConfig",
    "AutoModel": "modeling_trimoe_molmoe.TrimoeMolmoeModel",
    "AutoModelForCausalLM": "modeling_trimoe_molmoe.TrimoeMolmoeForCausalLM",
    "AutoImageProcessor": "image_processing_trimoe_molmoe.TrimoeMolmoeImageProcessor",
    "AutoProcessor": "processing_trimoe_molmoe.TrimoeMolmoeProcessor",
}


def edit(file: Path, **changes: Any) -> None:
    values = json.loads(file.read_text("utf-8")) | changes
    file.write_text(json.dumps(values), "utf-8")


def test_decoding_goes_through_the_tokenizer(processor: TrimoeMolmoeProcessor) -> None:
    ids = processor.process(text="what?")["input_ids"]
    assert processor.decode(ids, skip_special_tokens=True) == " User: what? Assistant:"
    assert processor.batch_decode(ids[None], skip_special_tokens=True) == [" User: what? Assistant:"]
