"""Sequences that run together: prompts of one variant, then a token at a time of all, of whatever variants, in ranges
side by side."""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from math import ceil
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from runtime.documents.graph_contract import LOGITS
from runtime.engines.mixed_batch import Rows as AnyRows
from runtime.engines.mixed_batch import Task
from runtime.engines.onnx.cache import Cache, CachedDecoder
from runtime.engines.onnx.composing.arrangement import arranged, bounds
from runtime.engines.onnx.composing.composed import ComposedDecoder
from runtime.engines.onnx.key_values import KeyValues
from runtime.engines.onnx.reading import Reading
from runtime.engines.onnx.variant_graphs import VariantGraphs
from runtime.engines.prefixes import Prefixes
from runtime.engines.protocol import Array, Prompt, StageClock

LEAST_ROWS = 8  # of one variant in a range
LEAST_MIXED_ROWS = 4  # of several


def part_count(rows: int, threads: int) -> int:
    """In how many ranges rows run: one a thread, but none of fewer than `LEAST_ROWS` rows."""
    return max(1, min(threads, rows // LEAST_ROWS))


def mixed_part_count(rows: int, kinds: int, threads: int) -> int:
    """The same where they are of so many kinds: each could run by itself, so that there are as many ranges at least as
    far as there are threads."""
    return max(1, min(threads, max(kinds, rows // LEAST_MIXED_ROWS)))


class Rows:
    """See Rows in runtime/engines/mixed_batch.py: ranges of one set of buffers, each run on a session of its own number
    of threads. A range of one variant runs its whole graph, one of several runs graphs of blocks."""

    def __init__(
        self,
        graphs: VariantGraphs,
        prompts: Sequence[Prompt],
        *,
        keys: KeyValues,
        clock: StageClock,
        threads: int,
        place: int = 0,
        prefixes: Prefixes | None = None,
    ) -> None:
        """Nothing is run yet; `keys` are empty. At most `threads` are used at a time; rows that others of the variant
        run beside have another `place`. Prompts are read one by one where some may begin with what is kept in
        `prefixes`."""
        self.movable, self._threads, self._place, self._prefixes = graphs.movable, threads, place, prefixes
        self._keys = keys
        self._graphs = [graphs] * len(prompts)  # in the order of the buffers
        self._places = list(range(len(prompts)))  # of each row in the buffers
        self._caches: dict[tuple[object, ...], Cache] = {}
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
        ordered: list[int | None] = [None] * len(self)
        for place, token in zip(self._places, tokens, strict=True):
            ordered[place] = token
        ranges = pairwise(bounds(len(self), self._part_count(share)))
        going = [
            (first, ordered[first:last])
            for first, last in ranges
            if any(one is not None for one in ordered[first:last])
        ]
        self._logits = np.zeros_like(self.logits)
        return [partial(self._decode, *each, place) for place, each in enumerate(going)]

    def takes(self, other: AnyRows) -> bool:
        """See Rows: those of the same variant, and of all others where both are composed of blocks."""
        if not (isinstance(other, Rows) and self.movable and other.movable):
            return False
        several = {graphs.variant for graphs in (*self._graphs, *other._graphs)}
        return len(several) == 1 or all(graphs.composition for graphs in (*self._graphs, *other._graphs))

    def join(self, other: AnyRows) -> None:
        """See Rows."""
        assert isinstance(other, Rows)  # of the same engine
        self._logits = np.concatenate([self.logits, other.logits])
        behind = len(self)
        self._keys.join(other._keys)
        self._graphs += other._graphs
        self._places += [behind + place for place in other._places]
        self.reused = [*self.reused, *other.reused]
        self._arrange(self._places)

    def keep(self, places: Sequence[int]) -> None:
        """See Rows."""
        self._logits = self.logits[places]
        self.reused = [self.reused[place] for place in places]
        self._arrange([self._places[place] for place in places])

    def _arrange(self, kept: Sequence[int]) -> None:
        """Keep the rows that stand at these places, and put them in order."""
        kinds = {place: self._graphs[place].kind for place in kept}
        ranges = mixed_part_count(len(kept), len(set(kinds.values())), self._threads)
        order = arranged(kinds, ranges)
        self._keys.keep(order)
        self._graphs = [self._graphs[place] for place in order]
        moved = {old: new for new, old in enumerate(order)}
        self._places = [moved[place] for place in kept]
        self._caches.clear()

    def _read(self, reading: Reading, first: int, tokens: int | None, place: int, threads: int) -> None:
        if self._prefixes is not None and not reading.begun:
            self.reused[first] = self._begin(first, self._prefixes.find(reading.key))
        cache = self._cache(first, first + len(reading), threads, place)
        reading.read(self._graphs[0].shared.opened(threads), cache, tokens)
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
        values, last = self._graphs[0].shared.opened(threads).embed(ids), first + len(tokens)
        found = self._cache(first, last, threads, place, counts.tolist()).run(values, counts=counts)[LOGITS]
        rows = [row for row, at in sorted(enumerate(self._places), key=itemgetter(1))[first:last]]
        self.logits[rows] = found[:, -1]

    def _cache(self, first: int, last: int, threads: int, place: int, going: Sequence[int] = ()) -> Cache:
        """Rows `first` to `last` (exclusive), bound to what runs them: the graph of their variant, or graphs of blocks,
        where rows that are not `going` run none."""
        graphs = self._graphs[first:last]
        mixed = len({one.variant for one in graphs}) > 1
        key = (first, last, threads, place, tuple(going) if mixed else ())
        if key not in self._caches:
            if mixed:
                rows = [one.composition or {} if runs else {} for one, runs in zip(graphs, going, strict=True)]
                decoder: CachedDecoder = ComposedDecoder(graphs[0].blocks, rows, threads=threads)
            else:
                decoder = graphs[0].decoder(threads, self._place + place)
            self._caches[key] = Cache(decoder, self._keys, first, last)
        return self._caches[key]

    def _part_count(self, share: float = 1) -> int:
        """In how many ranges the rows run when they are this share of all."""
        kinds = len({graphs.kind for graphs in self._graphs})
        if kinds > 1:
            return mixed_part_count(len(self), kinds, self._threads)
        return part_count(len(self), ceil(self._threads * share)) if self.movable else 1
