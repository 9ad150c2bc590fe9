"""Colours that the colour-blind tell apart (Okabe and Ito 2008), each with its counterpart on a dark page, and the
markers and line styles that go with them."""

from dataclasses import dataclass

INK, MUTED, GRID, BAND, PAPER = "#1f2328", "#59636e", "#d8dee4", "#eef1f4", "#ffffff"
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#b65f92", "#c98500", "#3f9fd8"
DARK = {
    INK: "#e6edf3",
    MUTED: "#9aa7b4",
    GRID: "#343c46",
    BAND: "#1c232b",
    PAPER: "#0d1117",
    BLUE: "#4aa8e6",
    VERMILLION: "#ff8a3d",
    GREEN: "#2fc79b",
    PURPLE: "#dd8fbd",
    ORANGE: "#f0b429",
    SKY: "#8fcdf5",
}


LineStyle = str | tuple[int, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How one of several series is drawn: told apart by colour, marker and line."""

    color: str
    marker: str
    line: LineStyle


_LINES: tuple[LineStyle, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)))
STYLES = tuple(
    Style(color=color, marker=marker, line=line)
    for color, marker, line in zip(
        (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY), ("o", "s", "^", "D", "v", "P"), _LINES, strict=True
    )
)


def style(number: int) -> Style:
    """The style of the series of that number; after the sixth they begin again."""
    return STYLES[number % len(STYLES)]


def dark_rules() -> str:
    """CSS that gives an SVG of these colours its dark counterparts where the reader prefers a dark page."""
    rules = (
        f'[style*="{property}: {light}"]{{{property}:{dark} !important}}'
        for light, dark in DARK.items()
        for property in ("fill", "stroke")
    )
    return f"@media (prefers-color-scheme: dark){{{''.join(rules)}}}"
