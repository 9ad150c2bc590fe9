"""Fields that chat and plain completions share: how to continue, what it may cost, and what is ignored or refused."""

from typing import Annotated, Literal

from pydantic import Field

from runtime.serving.http.schema.strict import NoMapping, Tag, Taken, Zero
from runtime.serving.request import Sampling, Wish

MOST_STOPS, LONGEST_STOP = 4, 256
Stop = Annotated[str, Field(min_length=1, max_length=LONGEST_STOP)]


class StreamOptions(Taken):
    """`include_usage`: a last chunk with the number of tokens. `include_obfuscation` is ignored."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Limited(Taken):
    """What an answer may cost and must be worth."""

    model: str = Field(
        min_length=1,
        max_length=256,
        description="The family's name lets the server choose; a variant's name pins it (GET /v1/models lists all).",
    )
    latency_budget_ms: float | None = Field(
        None, gt=0, le=86_400_000, description="Milliseconds from arrival to the last token; null: no limit."
    )
    min_accuracy: float | None = Field(None, ge=0, le=1, description="The least expected score on `task`, a share.")
    task: str | None = Field(None, min_length=1, max_length=128, description="One of GET /trimoe/family's tasks.")
    best_effort: bool | None = Field(None, description="Answer even where budget or accuracy cannot be kept.")
    elastic: bool | None = Field(
        None, description="False: only variants that were exported may answer, where the server offers others."
    )

    def wish(self, variant: str | None, dtype: str | None) -> Wish:
        """The same as the family's choice takes it."""
        return Wish(
            budget_ms=self.latency_budget_ms,
            min_accuracy=self.min_accuracy,
            task=self.task,
            variant=variant,
            dtype=dtype,
            best_effort=bool(self.best_effort),
            elastic=self.elastic is not False,
        )


class Parameters(Limited):
    """How to continue a prompt."""

    max_tokens: int | None = Field(None, ge=1, le=2**31)
    temperature: float | None = Field(
        None, ge=0, le=2, description="Default 0, the most likely token: accuracies were measured so."
    )
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Stop | Annotated[list[Stop], Field(max_length=MOST_STOPS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = Field(None, description="One answer a request.")
    presence_penalty: Zero | None = None
    frequency_penalty: Zero | None = None
    logit_bias: NoMapping | None = None
    user: Tag | None = Field(None, description="Ignored.")

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk of usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def sampling(self, max_tokens: int | None, top_logprobs: int | None) -> Sampling:
        """The same as engines' schedulers take it."""
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return Sampling(
            max_tokens=max_tokens,
            temperature=self.temperature or 0.0,
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=None if self.seed is None else self.seed % 2**63,
            stop=stop,
            top_logprobs=top_logprobs,
        )
