"""What a client asks for: a prompt, how to continue it, and what it may cost."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How tokens are chosen and when an answer ends.

    `max_tokens` None: as many as the family's default and the context allow. `temperature` 0 takes the most likely
    token; above, tokens are drawn among the most likely ones that have `top_p` of the probability together. `seed`
    makes that repeatable. An answer ends before any text of `stop`. `top_logprobs` None: no log-probabilities; else
    those of the chosen token and of so many of the most likely ones.
    """

    max_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the answer may cost and must be worth: `budget_ms` milliseconds from arrival to the last token, an accuracy
    (a share, 0–1) of at least `min_accuracy` on `task`; None: no such limit. `variant` and `dtype` pin the choice. With
    `best_effort` a request that cannot have all this is answered all the same, by what comes nearest."""

    budget_ms: float | None = None
    min_accuracy: float | None = None
    task: str | None = None
    variant: str | None = None
    dtype: str | None = None
    best_effort: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A prompt as the model is to read it (templates are filled in), and the picture that it is about, if any."""

    text: str
    image: "Image | None" = None
    sampling: Sampling = field(default_factory=Sampling)
    wish: Wish = field(default_factory=Wish)
