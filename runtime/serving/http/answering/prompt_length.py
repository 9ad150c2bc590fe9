"""The limit on the tokens of a prompt's text."""

import asyncio
from dataclasses import replace

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.served import Served
from runtime.serving.request import Request


async def check_tokens(family: Served, request: Request, *, most: int) -> None:
    """Count the tokens of a request's text beside the event loop; its picture is left alone, for the model bounds what
    it adds. A text that has no more bytes than tokens are allowed is not read: no token is of less. Raises ApiError."""
    if len(request.text.encode("utf-8", "replace")) <= most:
        return
    found = await asyncio.to_thread(family.prompt_tokens, replace(request, image=None))
    if found > most:
        said = f"the prompt has {found} tokens of text, the limit is {most}"
        raise ApiError(400, said, code="context_length_exceeded")
