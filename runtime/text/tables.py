"""Tables for people: laid out for the width of the terminal, or as wide as they are where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from runtime.text.one_line import one_line
from runtime.text.terminal import wrapped

GAP = "  "
INDENT = "    "
GROUP_INDENT = "  "
LEAST_WRAPPED = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column's head, whether its cells stand at the right, and whether they may take several lines."""

    head: str
    right: bool = False
    wraps: bool = False


def show_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, width: int | None, groups: Sequence[str] = ()
) -> str:
    """Heads and rows as lines of at most `width` columns; None: nothing is wrapped.

    Where the columns are too wide together, the one that wraps gets what the others leave; where that is too little,
    each row becomes a record: its first cell, and below it head and cell of every other column. Heads that are all
    empty are left out. `groups` names a group for each row: the rows of one stand together below its name. Control
    characters in cells are escaped.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    heads = [column.head for column in columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    indent = GROUP_INDENT if groups else ""
    if width is not None and not _narrow(columns, widths, width - len(indent)):
        head, bodies = [], [_record(heads, row, width - len(indent)) for row in cells]
    else:
        head = _lines(columns, heads, widths) if any(heads) else []
        bodies = [_lines(columns, row, widths) for row in cells]
    lines = [indent + line for line in head]
    for i, body in enumerate(bodies):
        lines += [one_line(groups[i])] if groups and (i == 0 or groups[i] != groups[i - 1]) else []
        lines += [indent + line for line in body]
    return "\n".join(lines)


def _narrow(columns: Sequence[Column], widths: list[int], width: int) -> bool:
    """Take what the columns are too wide from the one that wraps; false where it would keep too little."""
    over = sum(widths) + len(GAP) * (len(widths) - 1) - width
    if over <= 0:
        return True
    wraps = next((i for i, column in enumerate(columns) if column.wraps), None)
    if wraps is None or widths[wraps] - over < max(LEAST_WRAPPED, len(columns[wraps].head)):
        return False
    widths[wraps] -= over
    return True


def _lines(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """A row; what does not fit into the column that wraps goes on in the lines below."""
    folded = [
        wrapped(cell, size) or [""] if column.wraps else [cell]
        for column, cell, size in zip(columns, row, widths, strict=True)
    ]
    lines = []
    for parts in zip_longest(*folded, fillvalue=""):
        shown = zip(columns, parts, widths, strict=True)
        lines.append(GAP.join(part.rjust(size) if column.right else part.ljust(size) for column, part, size in shown))
    return [line.rstrip() for line in lines]


def _record(heads: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """The first cell, and below it "head cell, head cell, …" in as few lines as hold them."""
    lines = [""]
    for head, cell in zip(heads[1:], row[1:], strict=True):
        entry = f"{head} {cell}".strip()
        if lines[-1] and len(INDENT) + len(lines[-1]) + len(entry) + len(", ,") > width:
            lines[-1] += ","
            lines.append("")
        lines[-1] += f", {entry}" if lines[-1] else entry
    return [row[0], *(INDENT + part for line in lines for part in wrapped(line, width - len(INDENT), indent=INDENT))]
