"""A checked request of a client as the family reads it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runtime.errors import DocumentError
from runtime.serving.http.answering.models import pinned
from runtime.serving.http.api_error import ApiError
from runtime.serving.http.images.picture_reader import PictureReader
from runtime.serving.http.limits import Limits
from runtime.serving.http.schema.chat_request import ChatRequest, ChooseRequest, Message
from runtime.serving.http.schema.completion_request import CompletionRequest
from runtime.serving.http.schema.parameters import Limited
from runtime.serving.http.served import Served
from runtime.serving.request import Request, Sampling, Wish

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)
# Tokens of real text are shorter than this on average: longer prompts are refused unread, for reading takes long.
CHARACTERS_A_TOKEN = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Reads requests for one family, within limits. Its methods raise ApiError."""

    name: str
    family: Served
    limits: Limits
    pictures: PictureReader

    async def chat(self, asked: ChatRequest) -> Request:
        """A conversation."""
        wish = self._wish(asked)
        sampling = asked.sampling(self._max_tokens(*_chat_limit(asked)), _chat_logprobs(asked))
        text, urls = self._conversation(asked.messages)
        image = await self.pictures.read(urls[0][1], param=urls[0][0]) if urls else None
        return Request(text=text, image=image, sampling=sampling, wish=wish)

    async def completion(self, asked: CompletionRequest) -> Request:
        """A prompt."""
        wish = self._wish(asked)
        sampling = asked.sampling(self._max_tokens(asked.max_tokens, "max_tokens"), asked.logprobs)
        self._check_length(len(asked.text), "prompt")
        return Request(text=asked.text, sampling=sampling, wish=wish)

    def choice(self, asked: ChooseRequest) -> Request:
        """What would be chosen: a blank picture stands for the real one."""
        wish = self._wish(asked)
        text, urls = self._conversation(asked.messages)
        if urls:
            raise ApiError(400, "give image_size in place of a picture", code="invalid_image", param=urls[0][0])
        sampling = Sampling(max_tokens=self._max_tokens(asked.max_tokens, "max_tokens"))
        return Request(text=text, image=self._blank(asked.image_size), sampling=sampling, wish=wish)

    def _wish(self, asked: Limited) -> Wish:
        wish = asked.wish(*pinned(asked.model, self.name, self.family))
        if wish.task is not None and wish.task not in self.family.tasks:
            known = ", ".join(self.family.tasks) or "none, because nothing was measured"
            raise ApiError(400, f"no task {wish.task!r}; there are {known}", code="unknown_task", param="task")
        if wish.min_accuracy is not None and wish.task is None and len(self.family.tasks) != 1:
            said = f"min_accuracy needs a task, one of {', '.join(self.family.tasks) or 'none: nothing was measured'}"
            raise ApiError(400, said, code="missing_task", param="task")
        return wish if wish.min_accuracy is None or wish.task else replace(wish, task=self.family.tasks[0])

    def _max_tokens(self, given: int | None, param: str) -> int | None:
        if given is not None and given > self.limits.output_tokens:
            said = f"{param} is {given}, the limit is {self.limits.output_tokens}"
            raise ApiError(400, said, code="max_tokens_too_large", param=param)
        return given

    def _conversation(self, messages: Sequence[Message]) -> tuple[str, Sequence[tuple[str, str]]]:
        """The prompt, and the pictures' URLs, each with the name of its field."""
        if len(messages) > self.limits.messages:
            said = f"{len(messages)} messages, the limit is {self.limits.messages}"
            raise ApiError(400, said, code="too_many_messages", param="messages")
        urls = [
            (f"messages[{place}].content[{part}].image_url", url)
            for place, message in enumerate(messages)
            for part, url in message.images
        ]
        if urls and not self.family.reads_images:
            raise ApiError(400, "this family reads no pictures", code="images_not_supported", param=urls[0][0])
        if len(urls) > self.limits.images:
            said = f"{len(urls)} pictures, the limit is {self.limits.images} a request"
            raise ApiError(400, said, code="too_many_images", param="messages")
        if wrong := [place for place, message in enumerate(messages) if message.images and message.role != "user"]:
            param = f"messages[{wrong[0]}].content"
            raise ApiError(400, f"{param}: only messages of the user have pictures", code="invalid_image", param=param)
        self._check_length(sum(len(message.text) for message in messages), "messages")
        return self._templated(messages), urls

    def _templated(self, messages: Sequence[Message]) -> str:
        try:
            return self.family.chat_text([{"role": _role(one), "content": one.text} for one in messages])
        except DocumentError as error:
            _log.info("a chat template failed: %s", error)
            said = "the model's chat template refuses these messages"
            raise ApiError(400, said, code="messages_not_supported", param="messages") from error

    def _check_length(self, characters: int, param: str) -> None:
        most = self.limits.prompt_tokens * CHARACTERS_A_TOKEN
        if characters > most:
            said = f"{param}: {characters} characters, the limit is {most} ({CHARACTERS_A_TOKEN} a token)"
            raise ApiError(400, said, code="context_length_exceeded", param=param)

    def _blank(self, size: list[int] | None) -> "Image | None":
        if size is None:
            return None
        if not self.family.reads_images:
            raise ApiError(400, "this family reads no pictures", code="images_not_supported", param="image_size")
        if size[0] * size[1] > self.limits.image_pixels:
            said = f"{size[0]} × {size[1]} pixels, the limit is {self.limits.image_pixels} in all"
            raise ApiError(400, said, code="image_too_large", param="image_size")
        from PIL import Image  # where pictures are not asked for, Pillow is not needed

        return Image.new("RGB", (size[0], size[1]))


def _role(message: Message) -> str:
    """OpenAI's newer name for the system is the older one's to all templates."""
    return "system" if message.role == "developer" else message.role


def _chat_limit(asked: ChatRequest) -> tuple[int | None, str]:
    """The most tokens of an answer, and the field that says so: the newer name or the older one."""
    new, old = asked.max_completion_tokens, asked.max_tokens
    if new is not None and old is not None and new != old:
        said = f"max_completion_tokens is {new}, but max_tokens is {old}; give one"
        raise ApiError(400, said, code="conflicting_parameters", param="max_tokens")
    return (new, "max_completion_tokens") if new is not None else (old, "max_tokens")


def _chat_logprobs(asked: ChatRequest) -> int | None:
    """How many of the most likely tokens are asked for, None for no log-probabilities."""
    if asked.top_logprobs is not None and not asked.logprobs:
        raise ApiError(400, "top_logprobs needs logprobs true", code="missing_logprobs", param="top_logprobs")
    return (asked.top_logprobs or 0) if asked.logprobs else None
