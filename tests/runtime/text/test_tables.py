"""Tables and paragraphs fit the terminal, and are as wide as they are where there is none."""

import fcntl
import os
import pty
import struct
import sys
import termios
from pathlib import Path

import pytest

from runtime.text.tables import Column, show_table
from runtime.text.terminal import fitted, terminal_width, wrapped

COLUMNS = (Column(head="check"), Column(head="blocks", wraps=True), Column(head="size", right=True))
ROWS = (("first", "1 2 3 4 5 6 7 8 9", "12 B"), ("second one", "–", "3.45 kB"))


def test_without_a_terminal_nothing_is_wrapped() -> None:
    assert show_table(COLUMNS, ROWS, width=None).splitlines() == [
        "check       blocks                size",
        "first       1 2 3 4 5 6 7 8 9     12 B",
        "second one  –                  3.45 kB",
    ]
    assert wrapped("word " * 500, None) == [("word " * 500).strip()]


def test_the_column_that_wraps_gets_what_the_others_leave() -> None:
    assert show_table(COLUMNS, ROWS, width=31).splitlines() == [
        "check       blocks         size",
        "first       1 2 3 4 5      12 B",
        "            6 7 8 9",
        "second one  –           3.45 kB",
    ]


def test_where_even_that_is_too_little_rows_become_records() -> None:
    assert show_table(COLUMNS, ROWS, width=26).splitlines() == [
        "first",
        "    blocks 1 2 3 4 5 6 7 8",
        "        9,",
        "    size 12 B",
        "second one",
        "    blocks –,",
        "    size 3.45 kB",
    ]


def test_empty_heads_are_left_out_and_a_table_may_have_no_rows() -> None:
    assert show_table((Column(head=""), Column(head="", wraps=True)), [("a", "b")], width=80) == "a  b"
    assert show_table(COLUMNS, [], width=80) == "check  blocks  size"


@pytest.mark.parametrize("width", [None, 200, 80, 60, 20])
def test_a_path_never_breaks_and_control_characters_never_reach_the_terminal(width: int | None) -> None:
    path = "/tmp/pytest-of-somebody/pytest-1234/test_a_folder_of_a_long_name0/family-with-a-hyphen/config.json"
    shown = show_table(COLUMNS, [("files", f"{path}: cannot be read\x1b[2J\nat all", "1 B")], width=width)
    assert path in shown
    assert "\x1b" not in shown
    assert "read\\x1b[2J\\nat" in shown
    assert path in "\n".join(wrapped(f"{path}: cannot be read", width))


def test_the_width_is_that_of_the_terminal_behind_a_stream(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    try:
        with os.fdopen(terminal, "w", closefd=False) as stream:
            assert terminal_width(stream) == 80  # a new one says 0
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 57, 0, 0))
            assert terminal_width(stream) == 57
    finally:
        os.close(controller)
        os.close(terminal)
    with (tmp_path / "file").open("w") as stream:
        assert terminal_width(stream) is None
    assert terminal_width(sys.stdin) is None or sys.stdin.isatty()


@pytest.mark.parametrize(
    ("text", "width", "shown"), [("abc", 3, "abc"), ("abcd", 3, "abc"), ("模型x", 4, "模型"), ("模型x", 3, "模")]
)
def test_wide_characters_take_two_columns(text: str, width: int, shown: str) -> None:
    assert fitted(text, width) == shown


def test_rows_of_a_group_stand_below_its_name() -> None:
    rows = [*ROWS, ("third", "1", "1 B")]
    shown = show_table(COLUMNS, rows, width=80, groups=["small", "small", "la\nrge"]).splitlines()
    assert [line for line in shown if not line.startswith("  ")] == ["small", "la\\nrge"]
    assert shown[0] == "  check       blocks                size"
    assert shown[2:4] == ["  first       1 2 3 4 5 6 7 8 9     12 B", "  second one  –                  3.45 kB"]
    narrow = show_table(COLUMNS, rows, width=26, groups=["small", "small", "large"]).splitlines()
    assert all(len(line) <= 26 for line in narrow)
    assert narrow[:2] == ["small", "  first"]
