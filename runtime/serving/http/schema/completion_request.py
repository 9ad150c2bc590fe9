"""What /v1/completions takes."""

from typing import Annotated, Literal

from pydantic import Field

from runtime.serving.http.schema.chat_request import Text
from runtime.serving.http.schema.parameters import Parameters


class CompletionRequest(Parameters):
    """A prompt to continue, as it is: no template is filled in. A list may hold one prompt."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=1)]
    logprobs: int | None = Field(None, ge=0, le=5)
    echo: Literal[False] | None = None
    best_of: Literal[1] | None = None
    suffix: Literal[""] | None = None

    @property
    def text(self) -> str:
        """The prompt."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]
