"""Tasks side by side."""

from threading import Barrier

import pytest

from runtime.engines.onnx.workers import Workers


@pytest.mark.parametrize(("threads", "tasks", "share"), [(2, 1, 2), (2, 2, 1), (2, 5, 1), (8, 3, 2), (4, 0, None)])
def test_each_task_has_its_share_of_the_threads(threads: int, tasks: int, share: int | None) -> None:
    told: list[int] = []
    workers = Workers(threads)
    workers.run([told.append] * tasks)
    assert told == [share] * tasks
    workers.close()


def test_tasks_run_at_the_same_time_and_their_errors_come_back() -> None:
    workers, barrier = Workers(2), Barrier(2, timeout=20)

    def fail(threads: int) -> None:
        barrier.wait()
        raise KeyError(threads)

    with pytest.raises(KeyError):
        workers.run([lambda threads: barrier.wait(), fail])
    workers.close()
