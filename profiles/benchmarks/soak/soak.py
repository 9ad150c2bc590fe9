"""Keeps a real server busy with good and bad requests, changes of the family and faults, and looks for wrong answers,
lost requests and growth."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from profiles.benchmarks.soak.crowd import Action, Crowd
from profiles.benchmarks.soak.faults import (
    Swaps,
    broken_variant_copy,
    check_broken_variant,
    damaged_copy,
    point,
)
from profiles.benchmarks.soak.good import GoodClient, SoakError
from profiles.benchmarks.soak.hostile import HostileClient
from profiles.benchmarks.soak.memory import Growth, growth
from profiles.benchmarks.soak.recorded import RecordedQuestion
from profiles.benchmarks.soak.server_process import ServerProcess, Usage, serving

LOOK_S = 0.5
AFTER_SWAP_S = 3.0  # in which the old family is freed
SWAP_EVERY_S = 20.0
LINK = "family"

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Soak:
    """What goes on: `options` are those of `trimoe serve`, graphs of `dtype` are served."""

    minutes: float
    options: tuple[str, ...]
    dtype: str
    clients: int = 8
    rate: float = 25.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of requests, how often the family was changed, what went wrong (nothing, if all is well), and whether
    the server grew (None: too short to tell)."""

    counts: Mapping[tuple[str, str], int]
    swaps: int
    problems: tuple[str, ...]
    growth: Growth | None

    @property
    def well(self) -> bool:
        """Whether nothing went wrong."""
        return not self.problems and (self.growth is None or self.growth.flat)


def soak(family: Path, questions: Sequence[RecordedQuestion], settings: Soak, scratch: Path, *, say: Say) -> Verdict:
    """Run it; `scratch` is an empty folder. Raises MeasurementError where the server does not start."""
    problems = list(_one_broken_variant(family, questions, settings, scratch))
    say("one variant broken: " + ("; ".join(problems) or "refused, the others answer"))
    damaged, link = damaged_copy(family, scratch / "damaged", settings.dtype), scratch / LINK
    point(link, family)
    with serving(link, settings.options, scratch / "log") as server:
        good, hostile = GoodClient(server.port, LINK, questions), HostileClient(server.port, LINK)
        crowd = Crowd(_actions(good, hostile), clients=settings.clients, rate=settings.rate, seed=settings.seed)
        watch = _Watch(server, Swaps(server, link, family, damaged), say)
        crowd.run(60.0 * settings.minutes, watch.until)
        problems += [*crowd.tally.problems, *watch.problems, *_end(server, good, questions[0])]
    seen = watch.usages
    return Verdict(
        counts=dict(crowd.tally.counts),
        swaps=watch.swaps,
        problems=tuple(problems),
        growth=growth(seen) if len(seen) >= 30 else None,
    )


def _actions(good: GoodClient, hostile: HostileClient) -> dict[str, tuple[Action, float]]:
    """All that clients do, and how often."""
    return {
        "whole": (good.whole, 30),
        "stream": (good.stream, 25),
        "slow_reader": (good.slow_reader, 4),
        "byte_by_byte": (good.byte_by_byte, 2),
        "leave": (good.leave, 10),
        "malformed": (hostile.malformed, 8),
        "bomb": (hostile.bomb, 3),
        "packed": (hostile.packed, 2),
        "long_prompt": (hostile.long_prompt, 2),
        "oversized": (hostile.oversized, 2),
        "huge_head": (hostile.huge_head, 3),
        "no_http": (hostile.no_http, 3),
        "leave_in_body": (hostile.leave_in_body, 3),
        "other_paths": (hostile.other_paths, 5),
    }


class _Watch:
    """Changes the family every now and then, and looks at the process in between."""

    def __init__(self, server: ServerProcess, swaps: Swaps, say: Say) -> None:
        self._server, self._say = server, say
        self._changes = (swaps.signal, swaps.damaged, swaps.endpoint)
        self.usages: list[Usage] = []
        self.problems: list[str] = []
        self.swaps = 0

    def until(self, end: float) -> None:
        """Go on until then, or until the server is gone."""
        following = time.monotonic() + SWAP_EVERY_S
        try:
            while time.monotonic() < end and self._server.running:
                if time.monotonic() >= following:
                    self._change()
                    following = time.monotonic() + SWAP_EVERY_S
                time.sleep(LOOK_S)
                self.usages.append(self._server.usage())
        except (OSError, psutil.Error) as error:
            self.problems.append(f"the server cannot be looked at: {error}")

    def _change(self) -> None:
        try:
            self._changes[self.swaps % len(self._changes)]()
        except SoakError as error:
            self.problems.append(str(error))
        self.swaps += 1
        time.sleep(AFTER_SWAP_S)
        usage = self._server.usage()
        self._say(f"change {self.swaps}: {usage.bytes / 2**20:.0f} MiB, {usage.threads} threads, {usage.files} files")


def _end(server: ServerProcess, good: GoodClient, question: RecordedQuestion) -> Sequence[str]:
    """What is wrong at the end: it has to run, answer right, and stop when it is told to."""
    if not server.running:
        return ["the server is gone"]
    try:
        for variant in question.answers:
            good.check_pinned(variant)
    except (SoakError, OSError) as error:
        return [f"at the end: {error}"]
    code = server.stop()
    return [] if code == 0 else [f"the server ended with {code}"]


def _one_broken_variant(
    family: Path, questions: Sequence[RecordedQuestion], settings: Soak, scratch: Path
) -> Sequence[str]:
    """What is wrong with a server one of whose variants cannot run: requests for it are refused, the others answer."""
    broken, *others = reversed(tuple(questions[0].answers))
    copy = broken_variant_copy(family, scratch / "broken", settings.dtype, broken)
    with serving(copy, (*settings.options, "--no-preload"), scratch / "broken.log") as server:
        try:
            check_broken_variant(GoodClient(server.port, copy.name, questions), broken, tuple(others[:3]))
        except (SoakError, OSError) as error:
            return [str(error)]
        return [] if server.stop() == 0 else ["the server with a broken variant did not end well"]
