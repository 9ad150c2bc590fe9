"""The progress line stays inside the terminal."""

import fcntl
import os
import pty
import struct
import termios

import pytest

from profiles.reports.sample_progress import SampleProgress
from runtime.text.progress_bar import ProgressBar
from runtime.text.progress_line import ProgressLine


def drawn(columns: int, draw) -> list[str]:
    """What `draw`, given a terminal of so many columns as a stream, writes; one string for each time it is redrawn."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    with os.fdopen(terminal, "w") as stream:
        draw(stream)
        text = os.read(controller, 100_000).decode()
    os.close(controller)
    return text.split("\r\x1b[K")[1:]


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_no_line_is_longer_than_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def samples(stream) -> None:
        progress = SampleProgress(stream, clock=iter(range(100)).__next__)
        progress.begin("a data set of a very long name, longer than a terminal\nis wide", 100_000, 5000)
        progress.advance(10)

    def export(stream) -> None:
        monkeypatch.setattr("sys.stderr", stream)
        bar = ProgressBar()
        bar.begin("comparing with the source", 10**15)
        bar.advance(123_456_789)

    for line in (*drawn(columns, samples), *drawn(columns, export)):
        assert 0 < len(line) < columns
    assert "123 MB of 1.00 PB" in drawn(80, export)[0]


def test_a_last_line_is_written_whole_and_the_next_begins_below() -> None:
    assert drawn(10, lambda stream: ProgressLine(stream).finish("as long as it is")) == ["as long as it is\r\n"]
