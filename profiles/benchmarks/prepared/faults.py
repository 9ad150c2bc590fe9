"""What may happen to a prepared form while it is made and afterwards: whether the answers are right all the same, bit
for bit those of sessions that pack for themselves."""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from profiles.benchmarks.prepared.answering import Answered, Opening, finish, start

_SHARES = (0.02, 0.3, 0.6, 0.95)  # of the finished file, where files may grow no further
_AT_ONCE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was done, how often, how often what followed was `right`, and what that means."""

    fault: str
    runs: int
    right: int
    means: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """Trials of one family in one type; the place of `opening` is a folder for nothing else. `seed` chooses the
    moments."""

    opening: Opening
    kills: int
    seed: int
    say: Callable[[str], None]

    def find(self) -> Iterator[Finding]:
        """Try all of them in turn."""
        self.say("without a prepared form")
        expected = finish(start(replace(self.opening, place=None)))
        self.say("with one")
        seconds = self._make(expected)
        yield self._killed(expected, seconds)
        yield self._at_once(expected)
        yield self._full(expected)
        yield self._other_processor(expected)
        yield self._damaged(expected)
        yield self._not_writable(expected)

    @property
    def place(self) -> Path:
        """Where prepared forms are."""
        assert self.opening.place is not None
        return self.opening.place

    def _run(self, *, feature: str = "", file_bytes: int = 0) -> Answered:
        return finish(start(replace(self.opening, feature=feature, file_bytes=file_bytes)))

    def _make(self, expected: Answered) -> float:
        """How many seconds a process takes that makes one and answers. Raises RuntimeError where that is not right
        without any fault."""
        began = time.perf_counter()
        if not self._right(self._run(), expected, prepared=True):
            raise RuntimeError(f"{self.opening.family}: answers on a prepared form are not those without")
        return time.perf_counter() - began

    def _killed(self, expected: Answered, seconds: float) -> Finding:
        right, moments = 0, random.Random(self.seed)
        for number in range(self.kills):
            self.say(f"killed, {number} of {self.kills}")
            shutil.rmtree(self.place)
            process = start(self.opening)
            time.sleep(moments.uniform(0, seconds))
            process.kill()
            process.communicate()
            visible = self._visible()
            right += self._right(self._run(), expected, prepared=True) and visible <= 1 == self._visible()
        return Finding(
            fault="killed at random moments", runs=self.kills, right=right, means="the next one has it, made or found"
        )

    def _at_once(self, expected: Answered) -> Finding:
        self.say("several at once")
        shutil.rmtree(self.place)
        processes = [start(self.opening) for _ in range(_AT_ONCE)]
        found = [finish(process) for process in processes]
        right = sum(self._right(one, expected, prepared=True) for one in found) if self._visible() == 1 else 0
        return Finding(fault="several at once", runs=_AT_ONCE, right=right, means="one makes it, all have it")

    def _full(self, expected: Answered) -> Finding:
        self.say("on a full disk")
        size, right = max(path.stat().st_size for path in self.place.glob("*/*")), 0
        for share in _SHARES:
            shutil.rmtree(self.place)
            found = self._run(file_bytes=round(share * size))
            right += self._right(found, expected, prepared=False) and self._visible() == 0
        return Finding(
            fault="files cannot grow further", runs=len(_SHARES), right=right, means="each variant packs for itself"
        )

    def _other_processor(self, expected: Answered) -> Finding:
        self.say("another processor")
        right = sum(
            self._right(self._run(feature=feature), expected, prepared=True) and self._visible() == count
            for feature, count in (("", 1), ("another", 2), ("", 2))
        )
        return Finding(fault="another processor's features", runs=3, right=right, means="each has its own")

    def _damaged(self, expected: Answered) -> Finding:
        self.say("damaged")
        shutil.rmtree(self.place)
        self._run()
        right, files = 0, sorted(self.place.glob("[!.]*/*"))
        for path in files:
            content = path.read_bytes()
            place = random.Random(self.seed).randrange(len(content))
            path.write_bytes(content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :])
            right += self._right(self._run(), expected, prepared=True)
        return Finding(fault="a bit of it flipped", runs=len(files), right=right, means="it is made anew")

    def _not_writable(self, expected: Answered) -> Finding:
        self.say("not to be written")
        shutil.rmtree(self.place)
        self.place.touch()
        right = self._right(self._run(), expected, prepared=False)
        self.place.unlink()
        return Finding(fault="nothing can be written", runs=1, right=right, means="each variant packs for itself")

    def _right(self, found: Answered, expected: Answered, *, prepared: bool) -> bool:
        return found.digest == expected.digest and found.prepared is prepared

    def _visible(self) -> int:
        """How many prepared forms there are."""
        return len(list(self.place.glob("[!.]*")))
