"""Pictures that clients send: checked before they are decoded."""

import re

import pytest
from PIL import Image

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.images.picture import decode_data_uri, open_picture
from runtime.serving.http.limits import Limits
from tests.support.pictures import data_uri, picture, png_claiming

LIMITS = Limits(image_bytes=2000, image_pixels=10_000)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1", "P", "I;16"])
def test_a_picture_of_any_mode_is_read_as_rgb(mode: str) -> None:
    assert open_picture(picture(mode=mode), LIMITS, param="p").mode == "RGB"


def test_a_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    assert open_picture(picture(4, 3, format="JPEG", exif=exif), LIMITS, param="p").size == (3, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png_claiming(200, 100), "200 × 100 pixels, the limit is 10000"),
        (png_claiming(10_000, 10_000), "pixels"),
        (png_claiming(65_000, 65_000), "more than 10000 pixels"),
        (png_claiming(50, 50), "cannot be decoded"),
        (b"", "cannot be decoded"),
        (b"%PDF-1.4", "cannot be decoded"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be decoded"),
        (picture(format="BMP"), "cannot be decoded"),
        (picture(format="TIFF"), "cannot be decoded"),
        (picture()[:45], "cannot be decoded"),
        (b"x" * 2001, "2001 bytes, the limit is 2000"),
    ],
)
def test_a_bad_picture_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ApiError, match=re.escape(said)) as caught:
        open_picture(content, LIMITS, param="messages[0]")
    assert caught.value.status == 400 and caught.value.param == "messages[0]"


def test_a_moving_picture_is_refused() -> None:
    content = picture(format="GIF", save_all=True, append_images=[Image.new("RGB", (4, 3), 255)])
    with pytest.raises(ApiError, match="moving"):
        open_picture(content, LIMITS, param="p")


def test_a_data_uri_is_decoded() -> None:
    assert decode_data_uri(data_uri(b"abc"), LIMITS, param="p") == b"abc"
    assert decode_data_uri("DATA:image/svg+xml;charset=utf-8;base64,YWJj", LIMITS, param="p") == b"abc"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("data:text/plain;base64,YWJj", "expected data:image"),
        ("data:image/png,abc", "expected data:image"),
        ("data:image/png;base64,YW?j", "not base64"),
        ("data:image/png;base64,YWJ", "not base64"),
        ("data:image/png;base64,YWJé", "not base64"),
        (data_uri(b"x" * 2100), "the limit is 2000"),
        (f"data:image/png;{'x' * 10_000};base64,YWJj", "expected data:image"),
    ],
)
def test_a_bad_data_uri_is_refused(uri: str, said: str) -> None:
    with pytest.raises(ApiError, match=said):
        decode_data_uri(uri, LIMITS, param="p")
