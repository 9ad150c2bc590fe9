"""Runs tasks side by side, each with its share of the threads."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from runtime.engines.mixed_batch import Task


class Workers:
    """So many threads for several runs of a few threads each: kernels for a few thousand small matrices gain little
    from more threads within one run."""

    def __init__(self, threads: int) -> None:
        """No thread is started before there are two tasks."""
        self.threads = threads
        self._pool = ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="engine")

    def run(self, tasks: Sequence[Task]) -> None:
        """Run them, this thread among the workers; a worker that is done takes the next. Raises what a task raises,
        when all workers have stopped."""
        share, waiting = max(1, self.threads // max(1, len(tasks))), deque(tasks)
        others = [self._pool.submit(_work, waiting, share) for _ in range(min(self.threads, len(tasks)) - 1)]
        try:
            _work(waiting, share)
        finally:
            wait(others)
        for other in others:
            other.result()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


def _work(waiting: deque[Task], threads: int) -> None:
    """Run what waits until nothing does."""
    while waiting:
        try:
            task = waiting.popleft()
        except IndexError:  # another worker was faster
            return
        task(threads)
