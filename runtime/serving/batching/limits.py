"""What a scheduler may take: rows, tokens at a time, keys and values, and how long requests wait."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """`max_rows` sequences run together; `chunk_tokens` of prompts are read between two decoded tokens; `cache_bytes`
    is for keys and values (None: no limit). At most `max_waiting` requests wait, each `max_wait_s` seconds at most.
    Requests without a deadline are urgent as if theirs came `patience_s` after their arrival, so that none starves.
    `default_tokens` is the length of an answer that asks for none."""

    max_rows: int = 32
    chunk_tokens: int = 128
    cache_bytes: int | None = None
    max_waiting: int = 256
    max_wait_s: float = 60.0
    patience_s: float = 10.0
    default_tokens: int = 256

    def __post_init__(self) -> None:
        """Raise ValueError for a limit that lets nothing through."""
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is {value}: it must be above 0")
