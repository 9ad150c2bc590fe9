"""Pictures as files: the same bytes each time, well-formed, light and dark, labels apart."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from profiles.reports.pictures.canvas import NARROW, WIDE, Canvas, settings
from profiles.reports.pictures.chart import Chart, Table
from profiles.reports.pictures.drawn import draw
from profiles.reports.pictures.labels import place_labels
from profiles.reports.pictures.numbers import digits, percent, quantile, spread_out
from profiles.reports.pictures.palette import DARK, STYLES

CROWD = [(float(x), float(y), f"b{x}-k{y}") for x in range(9) for y in range(9)]


def crowd(canvas: Canvas) -> Figure:
    figure, (axes,) = canvas.panels(1, height=4.0)
    axes.plot([x for x, _, _ in CROWD], [y for _, y, _ in CROWD], "o")
    place_labels(figure, axes, CROWD, [(x, y) for x, y, _ in CROWD])
    return figure


CHART = Chart(
    name="crowd", title="A crowd", caption="", alt="", table=Table(columns=(), rows=()), draw=crowd, source="$here$"
)


@pytest.mark.parametrize("canvas", [WIDE, NARROW])
def test_labels_stand_apart_from_each_other_and_inside_the_axes(canvas: Canvas) -> None:
    with settings(canvas):
        figure = crowd(canvas)
        figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert 0 < len(boxes) <= len(CROWD)
    assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])
    inside = axes.get_window_extent()
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 + 1 for box in boxes)


def test_the_same_chart_gives_the_same_bytes_and_svg_is_well_formed_with_text_as_text_and_a_dark_form() -> None:
    picture = draw(CHART)
    assert draw(CHART) == picture
    for data in (picture.wide, picture.narrow):
        root = ET.fromstring(data)
        texts = {"".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")}
        assert "$here$" in texts
        assert all(dark.encode() in data for dark in DARK.values())
        assert b"prefers-color-scheme: dark" in data
        assert b"<dc:date>" not in data
    assert picture.png.startswith(b"\x89PNG")


def luminance(color: str) -> float:
    """The relative luminance of a colour (WCAG 2.2)."""
    shares = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("color", [style.color for style in STYLES])
def test_marks_stand_out_from_both_pages_and_no_two_series_look_alike(color: str) -> None:
    assert 1.05 / (luminance(color) + 0.05) >= 2.8
    assert (luminance(DARK[color]) + 0.05) / (luminance(DARK["#ffffff"]) + 0.05) >= 5
    assert len({style.marker for style in STYLES}) == len({str(style.line) for style in STYLES}) == len(STYLES)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00348, "0.00348"), (12.5, "12.5"), (1234.0, "1230"), (0.0, "0"), (99.99, "100"), (0.5, "0.500")],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert digits(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0312, "+3.1 %"), (-0.0312, "−3.1 %"), (-0.0001, "+0.0 %"), (0.0, "+0.0 %")]
)
def test_percent_has_a_sign_and_no_negative_zero(share: float, text: str) -> None:
    assert percent(share, sign=True) == text


def test_of_many_values_a_few_are_shown_with_both_ends() -> None:
    assert spread_out(list(range(3)), 5) == [0, 1, 2]
    shown = spread_out(list(range(9, 33)), 5)
    assert (shown[0], shown[-1], len(shown)) == (9, 32, 5)
    assert all(5 <= after - before <= 7 for before, after in pairwise(shown))


def test_quantiles_are_interpolated() -> None:
    assert [quantile([3.0, 1.0, 2.0], share) for share in (0.0, 0.25, 0.5, 1.0)] == [1.0, 1.5, 2.0, 3.0]
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)
