"""Sequences of one variant that run together: their prompts, then a token at a time, in ranges side by side."""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from math import ceil

import numpy as np
import numpy.typing as npt

from runtime.documents.graph_contract import INPUT_IDS, LOGITS
from runtime.engines.mixed_batch import Rows as AnyRows
from runtime.engines.mixed_batch import Task
from runtime.engines.onnx.cache import Cache
from runtime.engines.onnx.key_values import KeyValues
from runtime.engines.onnx.reading import Reading
from runtime.engines.onnx.variant_graphs import VariantGraphs
from runtime.engines.prefixes import Prefixes
from runtime.engines.protocol import Array, Prompt, StageClock

LEAST_ROWS = 8


def part_count(rows: int, threads: int) -> int:
    """In how many ranges rows run: one a thread, but none of fewer than `LEAST_ROWS` rows."""
    return max(1, min(threads, rows // LEAST_ROWS))


def bounds(rows: int, parts: int) -> list[int]:
    """Where the ranges begin, and the last one ends."""
    return [rows * part // parts for part in range(parts + 1)]


class Rows:
    """See Rows in runtime/engines/mixed_batch.py: ranges of one set of buffers, each run on a session of its own number
    of threads."""

    def __init__(
        self,
        graphs: VariantGraphs,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        clock: StageClock,
        threads: int,
        place: int = 0,
        prefixes: Prefixes | None = None,
    ) -> None:
        """Nothing is run yet. At most `threads` are used at a time; rows that others of the variant run beside have
        another `place`. Prompts are read one by one where some may begin with what is kept in `prefixes`."""
        self.variant, self.movable = graphs.variant, graphs.movable
        self._graphs, self._threads, self._place, self._prefixes = graphs, threads, place, prefixes
        room = np.asarray([len(prompt.arrays[INPUT_IDS]) + max_new_tokens for prompt in prompts], np.int64)
        self._keys = KeyValues(graphs.whole, room)
        self._caches: dict[tuple[int, int, int, int], Cache] = {}
        parts = self._part_count() if prefixes is None else len(prompts)
        self._readings = [Reading(prompts[first:last], clock) for first, last in pairwise(bounds(len(prompts), parts))]
        self.reused = [0] * len(prompts)
        self._logits: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self._keys.lengths)

    @property
    def unread(self) -> bool:
        """See Rows."""
        return not all(reading.over for reading in self._readings)

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """See Rows."""
        if self._logits is None:
            self._logits = np.concatenate([reading.logits for reading in self._readings])
            self._readings = []
        return self._logits

    def reading(self, tokens: int | None) -> Sequence[Task]:
        """See Rows. Where rows cannot be fed alone, prompts of several are read at once."""
        firsts = accumulate(map(len, self._readings), initial=0)
        waiting = [each for each in zip(self._readings, firsts, strict=False) if not each[0].over]
        wanted = tokens if self.movable or len(self) == 1 else None
        return [partial(self._read, *each, wanted, place) for place, each in enumerate(waiting)]

    def decoding(self, tokens: Sequence[int | None], share: float) -> Sequence[Task]:
        """See Rows. Ranges that are all over do not run."""
        ranges = pairwise(bounds(len(self), self._part_count(share)))
        going = [
            (first, tokens[first:last]) for first, last in ranges if any(one is not None for one in tokens[first:last])
        ]
        self._logits = np.zeros_like(self.logits)
        return [partial(self._decode, *each, place) for place, each in enumerate(going)]

    def join(self, other: AnyRows) -> None:
        """See Rows."""
        assert isinstance(other, Rows)  # of the same engine
        self._logits = np.concatenate([self.logits, other.logits])
        self._keys.join(other._keys)
        self.reused = [*self.reused, *other.reused]
        self._caches.clear()

    def keep(self, places: Sequence[int]) -> None:
        """See Rows."""
        self._logits = self.logits[places]
        self._keys.keep(places)
        self.reused = [self.reused[place] for place in places]
        self._caches.clear()

    def _read(self, reading: Reading, first: int, tokens: int | None, place: int, threads: int) -> None:
        if self._prefixes is not None and not reading.begun:
            self.reused[first] = self._begin(first, self._prefixes.find(reading.key))
        cache = self._cache(first, first + len(reading), threads, place)
        reading.read(self._graphs.shared.opened(threads), cache, tokens)
        if self._prefixes is not None and reading.over:
            self._prefixes.keep(reading.key, lambda: self._keys.copied(first, int(cache.lengths[0])))

    def _begin(self, row: int, values: Array | None) -> int:
        """Let a row begin with the keys and values of its first tokens, if there are any; how many these are."""
        if values is not None:
            self._keys.begin(row, values)
        return 0 if values is None else values.shape[2]

    def _decode(self, first: int, tokens: Sequence[int | None], place: int, threads: int) -> None:
        ids = np.asarray([[token or 0] for token in tokens], np.int64)
        counts = np.asarray([token is not None for token in tokens], np.int64)
        values = self._graphs.shared.opened(threads).embed(ids)
        found = self._cache(first, first + len(tokens), threads, place).run(values, counts=counts)[LOGITS]
        self.logits[first : first + len(tokens)] = found[:, -1]

    def _cache(self, first: int, last: int, threads: int, place: int) -> Cache:
        """Rows `first` to `last` (exclusive), bound to the decoder that runs them."""
        key = (first, last, threads, place)
        if key not in self._caches:
            self._caches[key] = Cache(self._graphs.decoder(threads, self._place + place), self._keys, first, last)
        return self._caches[key]

    def _part_count(self, share: float = 1) -> int:
        """In how many ranges the rows run when they are this share of all."""
        return part_count(len(self), ceil(self._threads * share)) if self.movable else 1
