"""What a user says of the settings to measure."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """`count` settings are measured and fitted to, `held_out` others are drawn to try the model on. A setting lacks at
    most `most_removed` blocks; blocks behind the first use the source's experts per token or one of `top_ks` (none: a
    half and a quarter of the source's). Draws are by `seed`."""

    count: int
    held_out: int
    most_removed: int
    top_ks: tuple[int, ...]
    seed: int
