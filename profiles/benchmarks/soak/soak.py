"""Keeps a real server busy with good and bad requests, changes of the family and faults, and looks for wrong answers,
lost requests and growth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from profiles.benchmarks.soak.memory import FEWEST, growth
from profiles.benchmarks.soak.recorded import RecordedQuestion
from profiles.benchmarks.soak.server_process import FAILING, ServerProcess, serving
from profiles.benchmarks.soak.verdict import Verdict
from profiles.benchmarks.soak.watch import Say, Watch

LINK = "family"


@dataclass(frozen=True, kw_only=True, slots=True)
class Soak:
    """What goes on: `options` are those of `trimoe serve`, graphs of `dtype` are served."""

    minutes: float
    options: tuple[str, ...]
    dtype: str
    clients: int = 8
    rate: float = 25.0
    seed: int = 0


def soak(family: Path, questions: Sequence[RecordedQuestion], settings: Soak, scratch: Path, *, say: Say) -> Verdict:
    """Run it; `scratch` is an empty folder. Raises MeasurementError where the server does not start."""
    problems = list(_one_broken_variant(family, questions, settings, scratch))
    say("one variant broken: " + ("; ".join(problems) or "refused, the others answer"))
    damaged, link = damaged_copy(family, scratch / "damaged", settings.dtype), scratch / LINK
    point(link, family)
    with serving(link, settings.options, scratch / "log", program=FAILING) as server:
        good, hostile = GoodClient(server.port, LINK, questions), HostileClient(server.port, LINK)
        crowd = Crowd(_actions(good, hostile), clients=settings.clients, rate=settings.rate, seed=settings.seed)
        watch = Watch(server, crowd, Swaps(server, link, family, damaged), say)
        crowd.run(60.0 * settings.minutes, watch.during)
        problems += [*crowd.tally.problems, *watch.problems, *_end(server, good, questions[0])]
        faults = server.engine_faults
    return Verdict(
        seconds=60.0 * settings.minutes,
        counts=dict(crowd.tally.counts),
        changes=watch.changes,
        swaps=watch.swaps,
        faults=faults,
        problems=tuple(problems),
        growth=growth(watch.rests) if len(watch.rests) >= FEWEST else None,
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
    if not others:
        return []
    copy = broken_variant_copy(family, scratch / "broken", settings.dtype, broken)
    with serving(copy, (*settings.options, "--no-preload"), scratch / "broken.log") as server:
        try:
            check_broken_variant(GoodClient(server.port, copy.name, questions), broken, tuple(others[:3]))
        except (SoakError, OSError) as error:
            return [str(error)]
        return [] if server.stop() == 0 else ["the server with a broken variant did not end well"]
