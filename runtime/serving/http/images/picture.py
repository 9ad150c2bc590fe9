"""A picture that a client sent, checked before it is decoded."""

import base64
import binascii
import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_HEAD = re.compile(r"data:image/[a-z0-9.+-]{1,32}(?:;[a-z0-9=-]{1,64})*;base64,", re.IGNORECASE)


def decode_data_uri(uri: str, limits: Limits, *, param: str) -> bytes:
    """The bytes in `data:image/…;base64,…`. Raises ApiError for anything else and for more than the limit."""
    head = _HEAD.match(uri[:256])
    if head is None:
        raise _refused("expected data:image/png;base64,… (or jpeg, webp, gif)", param)
    encoded = len(uri) - head.end()
    if encoded // 4 * 3 > limits.image_bytes + 2:
        raise _refused(f"about {encoded // 4 * 3} bytes, the limit is {limits.image_bytes}", param, "image_too_large")
    try:
        return base64.b64decode(uri[head.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused(f"not base64: {error}", param) from error


def open_picture(content: bytes, limits: Limits, *, param: str) -> "Image":
    """The picture in RGB, upright. Its size is read from its header and checked before a pixel is decoded; the format
    is told by the content. Raises ApiError. To be called in a thread of its own."""
    from PIL import Image, ImageOps

    if len(content) > limits.image_bytes:
        raise _refused(f"{len(content)} bytes, the limit is {limits.image_bytes}", param, "image_too_large")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as picture:
            _check_header(picture, limits, param)
            picture.load()
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refused(f"more than {limits.image_pixels} pixels", param, "image_too_large") from error
    except ApiError:
        raise
    except Exception as error:
        raise _refused(f"cannot be decoded as {', '.join(FORMATS)}", param) from error


def _check_header(picture: Any, limits: Limits, param: str) -> None:
    width, height = picture.size
    if width * height > limits.image_pixels:
        said = f"{width} × {height} pixels, the limit is {limits.image_pixels} in all"
        raise _refused(said, param, "image_too_large")
    if getattr(picture, "is_animated", False):
        raise _refused("moving pictures are not supported", param)


def _refused(why: str, param: str, code: str = "invalid_image") -> ApiError:
    return ApiError(400, f"{param}: {why}", code=code, param=param)
