"""Parts of the page as HTML: texts, tables, pictures. Everything that comes from a file is escaped."""

import base64
from collections.abc import Iterable
from html import escape

from profiles.reports.page.style_sheet import NARROW_BELOW_PX, STYLE_SHEET
from profiles.reports.pictures.chart import Table
from profiles.reports.pictures.drawn import Picture
from runtime.text.counted import counted
from runtime.text.one_line import one_line
from runtime.text.tables import Column


def text(value: str) -> str:
    """Text as HTML, control characters escaped as in messages."""
    return escape(one_line(value))


def document(title: str, body: str) -> bytes:
    """A whole page, which needs nothing outside itself; `body` is HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{text(title)}</title><style>{STYLE_SHEET}</style></head>\n"
        f"<body><main><h1>{text(title)}</h1>\n{body}</main></body></html>\n"
    ).encode()


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of names and values."""
    return f"<dl>{''.join(f'<dt>{text(name)}</dt><dd>{text(value)}</dd>' for name, value in pairs)}</dl>\n"


def figure(picture: Picture) -> str:
    """A picture with its title, what to see in it, and the table behind it. The narrow form is for small windows."""
    chart = picture.chart
    items = "".join(f"<li>{text(note)}</li>" for note in chart.notes)
    notes = f" Assumed are:<ul>{items}</ul>" if items else ""
    numbers = table(chart.table, name=f"{chart.title}: the numbers")
    return (
        f'<section id="{text(chart.name)}"><h3>{text(chart.title)}</h3>\n<figure><picture>'
        f'<source media="(max-width:{NARROW_BELOW_PX}px)" srcset="{_data(picture.narrow)}">'
        f'<img alt="{text(chart.alt)}" src="{_data(picture.wide)}"></picture>\n'
        f"<figcaption>{text(chart.caption)}{notes}</figcaption></figure>\n{numbers}</section>\n"
    )


def _data(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def table(content: Table, *, name: str) -> str:
    """A table to be opened below its `name`, which scrolls inside its box."""
    heads = "".join(f"<th scope=col{_aligned(column)}>{text(column.head)}</th>" for column in content.columns)
    rows = "".join(f"<tr>{_cells(content, row)}</tr>\n" for row in content.rows)
    note = f"<p>{text(content.note)}</p>" if content.note else ""
    return (
        f"<details><summary>{text(name)}, {counted(len(content.rows), 'row')}</summary>{note}"
        f'<div class=scroll role=region tabindex=0 aria-label="{text(name)}">'
        f"<table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div></details>\n"
    )


def _cells(content: Table, row: tuple[str, ...]) -> str:
    return "".join(
        f"<td{_aligned(column)}>{text(cell)}</td>" for column, cell in zip(content.columns, row, strict=True)
    )


def _aligned(column: Column) -> str:
    return " class=number" if column.right else ""
