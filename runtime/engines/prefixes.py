"""Keeps what prompts left behind when they were read, for prompts that begin in the same way."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from threading import Lock

import numpy as np

from runtime.documents.graph_contract import IMAGE_INPUT_IDX, INPUT_IDS
from runtime.engines.padding import ABSENT
from runtime.engines.protocol import Array, Prompt

LEAST_TOKENS = 16  # fewer are read about as fast as they are found and copied


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PrefixKey:
    """What keys and values depend on: the variant, the tokens, and from `image_begin` on the image, by its digest."""

    variant: str
    tokens: Array
    image: bytes
    image_begin: int

    def common(self, other: "PrefixKey") -> int:
        """How many tokens both begin with that have the same keys and values."""
        if self.variant != other.variant:
            return 0
        count = min(len(self.tokens), len(other.tokens))
        if self.image != other.image:
            count = min(count, self.image_begin, other.image_begin)
        different = np.flatnonzero(self.tokens[:count] != other.tokens[:count])
        return int(different[0]) if len(different) else count


class Prefixes:
    """Keys and values [2·layers, kv_heads, tokens, head_dim] of prompts, at most `limit` bytes: those not used for
    longest go first. For several threads."""

    def __init__(self, limit: int) -> None:
        """Nothing is kept yet."""
        self._limit, self._lock = limit, Lock()
        self._kept: OrderedDict[PrefixKey, Array] = OrderedDict()
        self.bytes = 0

    def find(self, wanted: PrefixKey) -> Array | None:
        """Keys and values of as many first tokens of the prompt as are kept, but not of its last, behind which logits
        are wanted. None where they are not worth it."""
        with self._lock:
            common, best = max(
                ((key.common(wanted), key) for key in self._kept), key=itemgetter(0), default=(0, wanted)
            )
            common = min(common, len(wanted.tokens) - 1)
            if common < LEAST_TOKENS:
                return None
            self._kept.move_to_end(best)
            return self._kept[best][:, :, :common]

    def keep(self, new: PrefixKey, copied: Callable[[], Array]) -> None:
        """Keep what `copied` gives for all tokens of the prompt, unless they are kept or too few; beginnings of the
        prompt are dropped for it."""
        with self._lock:
            if len(new.tokens) <= LEAST_TOKENS or any(key.common(new) == len(new.tokens) for key in self._kept):
                return
            for key in [key for key in self._kept if key.common(new) == len(key.tokens)]:
                self._drop(key)
            self._kept[new] = copied()
            self.bytes += self._kept[new].nbytes
            while self.bytes > self._limit:
                self._drop(next(iter(self._kept)))

    def forget(self, variant: str) -> None:
        """Drop what is kept of a variant."""
        with self._lock:
            for key in [key for key in self._kept if key.variant == variant]:
                self._drop(key)

    def _drop(self, key: PrefixKey) -> None:
        self.bytes -= self._kept.pop(key).nbytes


def prefix_key(prompt: Prompt) -> PrefixKey:
    """What the prompt's keys and values depend on."""
    digest = hashlib.sha256()
    for name in sorted(ABSENT.keys() & prompt.arrays.keys()):
        value = prompt.arrays[name]
        digest.update(f"{name} {value.dtype} {value.shape} ".encode())
        digest.update(value.tobytes())
    tokens = np.asarray(prompt.arrays[INPUT_IDS], np.int64)
    begin = image_span(prompt)[0]
    return PrefixKey(variant=prompt.variant, tokens=tokens, image=digest.digest(), image_begin=begin)


def image_span(prompt: Prompt) -> tuple[int, int]:
    """From which token on, and up to which (exclusive), images stand in a prompt: from its length up to 0 without."""
    places = prompt.arrays.get(IMAGE_INPUT_IDX)
    if places is None or not (places >= 0).any():
        return len(prompt.arrays[INPUT_IDS]), 0
    return int(places[places >= 0].min()), int(places.max()) + 1


def text_behind(prompt: Prompt, tokens: int) -> Prompt:
    """What follows so many tokens of a prompt whose images end before them."""
    return Prompt(variant=prompt.variant, arrays={INPUT_IDS: prompt.arrays[INPUT_IDS][tokens:]})
