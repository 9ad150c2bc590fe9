"""`trimoe serve` as a process of its own, and what it takes of the machine."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from profiles.errors import MeasurementError

STOP_S = 60.0
TRIMOE = "from runtime.cli import main; main()"
FAILING = "from profiles.benchmarks.soak.failing_engine import main; main()"  # trimoe with an engine that fails
_FAULT = "the engine failed with"
_ADDRESS = re.compile(r" at http://[^:]+:(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """At a moment of `time.monotonic`: resident bytes, threads, open files and sockets."""

    at_s: float
    bytes: int
    threads: int
    files: int


class ServerProcess:
    """A server that answers on `port`."""

    def __init__(self, process: "subprocess.Popen[str]", port: int, log: Path) -> None:
        """See `serving`."""
        self._process, self.port, self._log, self._looked_at = process, port, log, psutil.Process(process.pid)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def usage(self) -> Usage:
        """What it takes now. Raises psutil.Error when it is gone."""
        one = self._looked_at
        return Usage(at_s=time.monotonic(), bytes=one.memory_info().rss, threads=one.num_threads(), files=one.num_fds())

    @property
    def engine_faults(self) -> int:
        """How often its engine has failed so far."""
        with self._log.open() as lines:
            return sum(_FAULT in line for line in lines)

    def hang_up(self) -> None:
        """Tell it to load its family again."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> int:
        """Tell it to end, and wait; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_S)


@contextmanager
def serving(family: Path, options: Sequence[str], log: Path, *, program: str = TRIMOE) -> Iterator[ServerProcess]:
    """A server on a free port of loopback, run by `program`; what it logs goes to `log`. It is killed at the end where
    it was not stopped. Raises MeasurementError when it does not start."""
    command = [sys.executable, "-c", program, "serve", str(family), "--port", "0", *options]
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
    try:
        yield ServerProcess(process, _port(process, log), log)
    finally:
        process.kill()
        process.wait(STOP_S)
        if process.stdout is not None:
            process.stdout.close()


def _port(process: "subprocess.Popen[str]", log: Path) -> int:
    """The port that its first line names; it ends, or is ended, otherwise."""
    assert process.stdout is not None  # it is a pipe
    line = process.stdout.readline()
    found = _ADDRESS.search(line)
    if found is None:
        raise MeasurementError(f"the server did not start: {line.strip() or log.read_text().strip()[-500:]}")
    return int(found[1])
