"""Pictures as clients send them, good and bad."""

import base64
import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image


def picture(width: int = 4, height: int = 3, *, format: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    """An encoded picture."""
    out = BytesIO()
    Image.new(mode, (width, height), 0).save(out, format, **options)
    return out.getvalue()


def data_uri(content: bytes, kind: str = "png") -> str:
    """As the content of a message names it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header says that it is so large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def question(text: str, *urls: str) -> list[dict[str, Any]]:
    """Messages that ask about pictures."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]
