"""What a client asks for: a prompt, how to continue it, and what it may cost."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import RequestError

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

    def __post_init__(self) -> None:
        """Raises RequestError naming the field, its value and the limit."""
        _check("max_tokens", self.max_tokens, least=1, whole=True)
        _check("temperature", self.temperature, least=0)
        _check("top_p", self.top_p, least=0, most=1)
        _check("top_logprobs", self.top_logprobs, least=0, whole=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the answer may cost and must be worth: `budget_ms` milliseconds from arrival to the last token, an accuracy
    (a share, 0–1) of at least `min_accuracy` on `task`; None: no such limit. `variant` and `dtype` pin the choice.
    Without `elastic` only variants that were exported answer. With `best_effort` a request that cannot have all this is
    answered all the same, by what comes nearest."""

    budget_ms: float | None = None
    min_accuracy: float | None = None
    task: str | None = None
    variant: str | None = None
    dtype: str | None = None
    best_effort: bool = False
    elastic: bool = True

    def __post_init__(self) -> None:
        """Raises RequestError naming the field, its value and the limit."""
        _check("budget_ms", self.budget_ms, least=0)
        _check("min_accuracy", self.min_accuracy, least=0, most=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A prompt as the model is to read it (templates are filled in), and the picture that it is about, if any."""

    text: str
    image: "Image | None" = None
    sampling: Sampling = field(default_factory=Sampling)
    wish: Wish = field(default_factory=Wish)

    def __post_init__(self) -> None:
        """Raises RequestError for what is no text or no picture, as far as types tell."""
        if not isinstance(self.text, str):
            raise RequestError(f"text is {type(self.text).__name__}, expected a string")
        if self.image is not None and not hasattr(self.image, "convert"):
            shown = repr(self.image) if isinstance(self.image, str | Path) else f"of {type(self.image).__name__}"
            raise RequestError(f"image is {shown}; expected a picture that is open: PIL.Image.open(path)")


def _check(name: str, value: object, *, least: float, most: float = float("inf"), whole: bool = False) -> None:
    """That a number, where one is given, lies between the limits, both inclusive."""
    if value is None:
        return
    wanted = f"{'a whole number' if whole else 'a number'} of at least {least}"
    wanted += f" and at most {most}" if most < float("inf") else ""
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        raise RequestError(f"{name} is {value!r}; it is {wanted}")
