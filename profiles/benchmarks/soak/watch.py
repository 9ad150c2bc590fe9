"""Changes the family every now and then while clients go on, and looks at the server while they rest."""

import time
from collections.abc import Callable

import psutil

from profiles.benchmarks.soak.crowd import Crowd
from profiles.benchmarks.soak.faults import Swaps
from profiles.benchmarks.soak.good import SoakError
from profiles.benchmarks.soak.memory import rest_times
from profiles.benchmarks.soak.server_process import ServerProcess, Usage
from profiles.benchmarks.soak.verdict import LONG_S

SWAP_EVERY_S = 15.0
REST_S = 3.0  # in which what was freed is given back
LOOK_S = 0.5
PATIENCE_S = 30.0  # for requests that were begun

Say = Callable[[str], None]


class Watch:
    """What happens beside the requests of `crowd`."""

    def __init__(self, server: ServerProcess, crowd: Crowd, swaps: Swaps, say: Say) -> None:
        """Nothing has happened yet."""
        self._server, self._crowd, self._swaps, self._say = server, crowd, swaps, say
        self._changes = (swaps.signal, swaps.damaged, swaps.endpoint)
        self.rests: list[Usage] = []
        self.problems: list[str] = []
        self.changes = self.swaps = 0

    def during(self, seconds: float) -> None:
        """Go on for so long, or until the server is gone."""
        began = time.monotonic()
        rests = [began + at for at in rest_times(seconds)] if seconds >= LONG_S else []
        following = began + SWAP_EVERY_S
        try:
            while time.monotonic() < began + seconds and self._server.running:
                if time.monotonic() >= following:
                    self._change(self._changes[self.changes % len(self._changes)])
                    following = time.monotonic() + SWAP_EVERY_S
                if rests and time.monotonic() >= rests[0] - LOOK_S:
                    rests.pop(0)
                    self._rest()
                time.sleep(LOOK_S)
        except (OSError, psutil.Error) as error:
            self.problems.append(f"the server cannot be looked at: {error}")

    def _rest(self) -> None:
        """No requests, and a family that has answered none."""
        if not self._crowd.pause(PATIENCE_S):
            self.problems.append(f"requests did not end within {PATIENCE_S:g} s")
        self._change(self._swaps.endpoint)
        time.sleep(REST_S)
        usage = self._server.usage()
        self._say(f"at rest: {usage.bytes / 2**20:.0f} MiB, {usage.threads} threads, {usage.files} files")
        self.rests.append(usage)
        self._crowd.go_on()

    def _change(self, change: Callable[[], None]) -> None:
        self.changes += 1
        try:
            change()
        except SoakError as error:
            self.problems.append(str(error))
        else:
            self.swaps += change != self._swaps.damaged
