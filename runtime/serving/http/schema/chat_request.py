"""What /v1/chat/completions takes."""

from typing import Annotated, Literal

from pydantic import Field

from runtime.serving.http.schema.parameters import Limited, Parameters
from runtime.serving.http.schema.strict import Nothing, Tag, Taken

LONGEST_TEXT = 2**20
MOST_MESSAGES, MOST_PARTS = 1024, 64
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]


class TextPart(Taken):
    """A piece of a message."""

    type: Literal["text"]
    text: Text


class ImageUrl(Taken):
    """A picture: a data URI, or a URL of a host that the operator allowed. `detail` is ignored."""

    url: str = Field(min_length=1, description="data:image/png;base64,… (or jpeg, webp, gif)")
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Taken):
    """A picture in a message of the user."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class Message(Taken):
    """A message: a text, or parts. What an answer of this server holds beside its text is taken back."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[Part], Field(min_length=1, max_length=MOST_PARTS)]
    name: Tag | None = None
    refusal: None = None
    audio: None = None
    function_call: None = None
    tool_calls: Nothing | None = None
    annotations: Nothing | None = None

    @property
    def text(self) -> str:
        """All its text."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def images(self) -> tuple[tuple[int, str], ...]:
        """The URLs of its pictures, each with its place among the parts."""
        if isinstance(self.content, str):
            return ()
        return tuple((at, part.image_url.url) for at, part in enumerate(self.content) if isinstance(part, ImagePart))


Messages = Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)]


class ResponseFormat(Taken):
    """The form of an answer: text."""

    type: Literal["text"]


class ChatRequest(Parameters):
    """A conversation to continue."""

    messages: Messages
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: Nothing | None = None
    tool_choice: Literal["none"] | None = None
    parallel_tool_calls: bool | None = Field(None, description="Ignored.")
    functions: Nothing | None = None
    function_call: Literal["none"] | None = None
    response_format: ResponseFormat | None = None
    modalities: Annotated[list[Literal["text"]], Field(min_length=1, max_length=1)] | None = None
    audio: None = None
    prediction: None = None
    web_search_options: None = None
    store: Literal[False] | None = None
    metadata: dict[Tag, Tag] | None = Field(None, max_length=16, description="Ignored.")
    service_tier: Tag | None = Field(None, description="Ignored.")
    safety_identifier: Tag | None = Field(None, description="Ignored.")
    prompt_cache_key: Tag | None = Field(None, description="Ignored.")


class ChooseRequest(Limited):
    """What would be chosen, without an answer. `image_size` (width, height) stands for a picture of that size."""

    messages: Messages
    image_size: Annotated[list[Annotated[int, Field(ge=1, le=2**16)]], Field(min_length=2, max_length=2)] | None = None
    max_tokens: int | None = Field(None, ge=1, le=2**31)
