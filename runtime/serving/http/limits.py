"""Limits on everything that a client controls."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one client, and all clients together, may take. Times are in seconds.

    `buffered_bytes` holds for the bodies of all requests together, each until its answer ends. `prompt_tokens` is
    for texts; what a picture adds is bounded by the model. `requests` are answers in progress, waiting ones
    included; `queue_s` is the time from arrival to the first token, `answer_s` that to the last. `write_s`: a
    client that takes nothing for so long is cut off. `drain_s`: how long a server that was told to stop goes on
    with what it has begun.
    """

    header_bytes: int = 32 * 2**10
    header_s: float = 10.0
    idle_s: int = 30
    body_bytes: int = 20 * 2**20
    body_s: float = 30.0
    buffered_bytes: int = 256 * 2**20
    write_s: float = 30.0
    connections: int = 1024
    messages: int = 256
    images: int = 1
    image_bytes: int = 12 * 2**20
    image_pixels: int = 25_000_000
    prompt_tokens: int = 8192
    output_tokens: int = 2048
    requests: int = 64
    queue_s: float = 30.0
    answer_s: float = 300.0
    drain_s: float = 30.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"limit {name} is {getattr(self, name)}, but must be above 0")
