"""The line on a terminal that shows how far long work is: redrawn in place, never longer than the terminal."""

from typing import TextIO

from runtime.text.one_line import one_line
from runtime.text.terminal import DEFAULT_COLUMNS, fitted, terminal_width

_CLEAR = "\r\x1b[K"


class ProgressLine:
    """One line of `stream`; `on_terminal` says whether there is one to redraw."""

    def __init__(self, stream: TextIO) -> None:
        """Draw nothing yet."""
        self._stream = stream
        self.on_terminal = stream.isatty()

    def draw(self, text: str) -> None:
        """Replace the line by as much of the text as fits. The last column stays free: some terminals break there."""
        columns = terminal_width(self._stream) or DEFAULT_COLUMNS
        self._write(_CLEAR + fitted(one_line(text), columns - 1))

    def clear(self) -> None:
        """Leave the line empty."""
        self._write(_CLEAR)

    def finish(self, text: str) -> None:
        """Replace the line by the whole text, and go to the next."""
        self._write((_CLEAR if self.on_terminal else "") + one_line(text) + "\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
