"""The decision log of a process: one family after another writes it, for a while two at a time."""

from pathlib import Path

from runtime.serving.decisions.log import DecisionLog, Writers
from runtime.serving.decisions.record import LogHeader


class LogFile:
    """The file `path`; see DecisionLog. For several threads."""

    def __init__(self, path: Path, *, rotate_bytes: int = 64 << 20, keep: int = 4) -> None:
        """Nothing is opened yet."""
        self._path, self._rotate_bytes, self._keep = path, rotate_bytes, keep
        self._writers = Writers()

    def open(self, header: LogHeader) -> DecisionLog:
        """The log for a family, to be closed by each that opened it. While another family has it, both write the same
        file where their headers are the same; else the file is left to the other one, and numbered, with the first
        decision of this one. Raises as DecisionLog does."""
        with self._writers.lock:
            self._writers.logs = logs = [one for one in self._writers.logs if one.is_open]
            for one in reversed(logs):
                if one.share(header):
                    return one
            limits = {"rotate_bytes": self._rotate_bytes, "keep": self._keep}
            logs.append(DecisionLog(self._path, header, writers=self._writers, **limits))
            return logs[-1]
