"""Many clients at once, each sending one request after the other for a while, at a bounded rate."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from profiles.benchmarks.soak.good import SoakError

Action = Callable[[random.Random], str]
"""Sends a request; says what became of it. Raises SoakError, or what sockets raise where no answer came."""
MOST_PROBLEMS = 50


@dataclass(kw_only=True)
class Tally:
    """What became of requests, by action, and what went wrong; for several threads."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, action: str, outcome: str) -> None:
        """One more."""
        with self.lock:
            self.counts[action, outcome] += 1

    def problem(self, text: str) -> None:
        """Something that must not be."""
        with self.lock:
            if len(self.problems) < MOST_PROBLEMS:
                self.problems.append(text)


class Crowd:
    """Clients in threads."""

    def __init__(self, actions: Mapping[str, tuple[Action, float]], *, clients: int, rate: float, seed: int) -> None:
        """Actions by name, each with how often it is taken over the others; `rate` requests a second at most."""
        self._actions, self._clients, self._rate, self._seed = actions, clients, rate, seed
        self._resting, self._busy, self._changed = False, 0, threading.Condition()
        self.tally = Tally()

    def run(self, seconds: float, meanwhile: Callable[[float], None]) -> None:
        """Send requests for so long, and `meanwhile(seconds)` in this thread."""
        end = time.monotonic() + seconds
        most = int(seconds * self._rate / self._clients) + 1
        threads = [threading.Thread(target=self._client, args=(place, end, most)) for place in range(self._clients)]
        for thread in threads:
            thread.start()
        try:
            meanwhile(seconds)
        finally:
            self.go_on()
            for thread in threads:
                thread.join()

    def pause(self, patience_s: float) -> bool:
        """Send nothing more, and wait for what was sent; whether all of it ended in time."""
        with self._changed:
            self._resting = True
            return self._changed.wait_for(lambda: self._busy == 0, patience_s)

    def go_on(self) -> None:
        """Send requests again."""
        with self._changed:
            self._resting = False
            self._changed.notify_all()

    def _client(self, place: int, end: float, most: int) -> None:
        rng = random.Random(f"{self._seed} {place}")
        names, weights = list(self._actions), [weight for _, weight in self._actions.values()]
        for _ in range(most):
            began = time.monotonic()
            if began >= end:
                return
            (name,) = rng.choices(names, weights)
            with self._at_work():
                self.take(name, rng)
            pause = rng.expovariate(self._rate / self._clients) - (time.monotonic() - began)
            time.sleep(min(max(0.0, pause), max(0.0, end - time.monotonic())))

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Begins when nobody rests."""
        with self._changed:
            self._changed.wait_for(lambda: not self._resting)
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def take(self, name: str, rng: random.Random) -> None:
        """Send one request."""
        try:
            outcome = self._actions[name][0](rng)
        except SoakError as error:
            self.tally.problem(f"{name}: {error}")
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            self.tally.problem(f"{name}: no answer that could be read: {type(error).__name__}: {error}")
        else:
            self.tally.count(name, outcome)


def told(counts: Mapping[tuple[str, str], int]) -> Sequence[str]:
    """The counts, a line an action."""
    actions = dict.fromkeys(action for action, _ in sorted(counts))
    return [
        f"{action:<16}" + ", ".join(f"{outcome} {n}" for (of, outcome), n in sorted(counts.items()) if of == action)
        for action in actions
    ]
