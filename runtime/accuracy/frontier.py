"""Which of all settings are worth having: those on the way from the whole model to the smallest one allowed that no
other beats in both predicted score and predicted time. Pure.

The way is found by beam search: from each setting one block is removed, or its experts per token are lowered to the
next number allowed, in one block or in all of them; of what that makes, those go on that lose least score for the time
that they save.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from runtime.documents.accuracy.accuracy_model import Setting

BEAM = 6

Scores = Callable[[Sequence[Setting]], Sequence[float]]
"""Predicted scores of settings, shares."""

CostMs = Callable[[Setting], float]
"""Predicted milliseconds of a setting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowed:
    """What settings may be made of: `top_k[b]` has the experts per token that block b may use, in descending order, the
    first in the whole model; of the blocks `removable`, at most `most_removed` may be missing."""

    top_k: Mapping[int, tuple[int, ...]]
    removable: frozenset[int]
    most_removed: int

    @property
    def whole(self) -> Setting:
        """The model with all of its blocks and experts."""
        return Setting(layers=tuple(self.top_k), top_k=tuple(ks[0] for ks in self.top_k.values()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A setting with its predicted score, a share, and its predicted milliseconds."""

    setting: Setting
    score: float
    ms: float


def frontier(allowed: Allowed, scores: Scores, cost_ms: CostMs, *, most: int) -> tuple[Point, ...]:
    """At most `most` settings that none other found beats, from the slowest to the fastest, spread evenly in time."""
    found = sorted(_search(allowed, scores, cost_ms), key=lambda point: (point.ms, -point.score))
    best: list[Point] = []
    for point in found:
        if not best or point.score > best[-1].score:
            best.append(point)
    return tuple(reversed(_spread(best, most)))


def _search(allowed: Allowed, scores: Scores, cost_ms: CostMs) -> Iterator[Point]:
    beam = _points([allowed.whole], scores, cost_ms)
    top = beam[0]
    seen = {allowed.whole}
    while beam:
        yield from beam
        grown = [one for point in beam for one in _smaller(point.setting, allowed) if one not in seen]
        seen.update(grown)
        points = [one for one in _points(list(dict.fromkeys(grown)), scores, cost_ms) if one.ms < top.ms]
        beam = sorted(points, key=lambda one: (top.score - one.score) / (top.ms - one.ms))[:BEAM]


def _points(settings: Sequence[Setting], scores: Scores, cost_ms: CostMs) -> list[Point]:
    if not settings:
        return []
    predicted = scores(settings)
    return [Point(setting=one, score=score, ms=cost_ms(one)) for one, score in zip(settings, predicted, strict=True)]


def _smaller(setting: Setting, allowed: Allowed) -> Iterator[Setting]:
    """Settings one step smaller."""
    lower = [_next_lower(allowed.top_k[block], k) for block, k in zip(setting.layers, setting.top_k, strict=True)]
    if lower != list(setting.top_k):
        yield Setting(layers=setting.layers, top_k=tuple(lower))
    for place, block in enumerate(setting.layers):
        before, after = slice(None, place), slice(place + 1, None)
        if lower[place] != setting.top_k[place]:
            top_k = (*setting.top_k[before], lower[place], *setting.top_k[after])
            yield Setting(layers=setting.layers, top_k=top_k)
        if block in allowed.removable and len(allowed.top_k) - len(setting.layers) < allowed.most_removed:
            yield Setting(
                layers=setting.layers[before] + setting.layers[after],
                top_k=setting.top_k[before] + setting.top_k[after],
            )


def _next_lower(allowed: tuple[int, ...], k: int) -> int:
    return max((one for one in allowed if one < k), default=k)


def _spread(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` of points in ascending milliseconds, the first and the last among them, the others nearest to even
    steps in time."""
    if len(points) <= most:
        return list(points)
    low, high = points[0].ms, points[-1].ms
    wanted = [low + (high - low) * step / max(most - 1, 1) for step in range(most)]
    chosen = {min(range(len(points)), key=lambda place: abs(points[place].ms - ms)) for ms in wanted}
    return [points[place] for place in sorted(chosen)]
