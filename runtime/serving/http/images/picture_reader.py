"""The picture of a request, from a data URI or an allowed host, fetched and decoded beside the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from runtime.serving.http.images.download import Downloader
from runtime.serving.http.images.picture import decode_data_uri, open_picture
from runtime.serving.http.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

DECODED_AT_ONCE = 4
FETCHED_AT_ONCE = 8


class PictureReader:
    """Reads pictures, a few at a time, so that memory for pixels stays bounded and slow hosts delay no one else."""

    def __init__(self, limits: Limits, downloader: Downloader) -> None:
        self._limits, self._downloader = limits, downloader
        self._decoding = ThreadPoolExecutor(DECODED_AT_ONCE, thread_name_prefix="pictures")
        self._fetching = ThreadPoolExecutor(FETCHED_AT_ONCE, thread_name_prefix="downloads")

    async def read(self, url: str, *, param: str) -> "Image":
        """The picture in RGB. Raises ApiError."""
        loop = asyncio.get_running_loop()
        if url[:5].lower() == "data:":
            return await loop.run_in_executor(self._decoding, self._decoded, url, param)
        content = await loop.run_in_executor(self._fetching, self._fetched, url, param)
        return await loop.run_in_executor(self._decoding, self._opened, content, param)

    def close(self) -> None:
        """End the threads; what they still do is not waited for."""
        for threads in (self._decoding, self._fetching):
            threads.shutdown(wait=False, cancel_futures=True)

    def _decoded(self, uri: str, param: str) -> "Image":
        return self._opened(decode_data_uri(uri, self._limits, param=param), param)

    def _fetched(self, url: str, param: str) -> bytes:
        return self._downloader.fetch(url, most_bytes=self._limits.image_bytes, param=param)

    def _opened(self, content: bytes, param: str) -> "Image":
        return open_picture(content, self._limits, param=param)
