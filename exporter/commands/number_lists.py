"""Lists of numbers on the command line: `4,13` and ranges such as `12-14,16`."""

import re

import click

from runtime.documents.checked_json import shorten

MAX_RANGE = 10_000
MAX_NUMBER = 9_999_999


def numbers(_: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Option callback: whole numbers separated by commas, in the order given. A usage error names the part that is
    none."""
    return None if value is None else _parse(value, param, ranges=False)


def distinct_numbers(_: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Option callback: like `numbers`, but no number may occur twice."""
    return None if value is None else _distinct(value, param, ranges=False)


def number_ranges(_: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Option callback: like `distinct_numbers`, and `12-16` stands for the numbers from 12 to 16."""
    return None if value is None else _distinct(value, param, ranges=True)


def number_sets(_: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Callback of a repeatable option: one `number_ranges` per use; "none" is the empty set."""
    return tuple(() if value.strip() == "none" else _distinct(value, param, ranges=True) for value in values)


def _distinct(value: str, param: click.Parameter, *, ranges: bool) -> tuple[int, ...]:
    found = _parse(value, param, ranges=ranges)
    for number in found:
        if found.count(number) > 1:
            raise click.BadParameter(f"{number} is given twice in {shorten(value)!r}", param=param)
    return found


def _parse(value: str, param: click.Parameter, *, ranges: bool) -> tuple[int, ...]:
    found: list[int] = []
    for part in value.split(","):
        found += _part(part.strip(), value, param, ranges=ranges)
        if len(found) > MAX_RANGE:
            raise click.BadParameter(f"more than {MAX_RANGE} numbers", param=param)
    return tuple(found)


def _part(part: str, value: str, param: click.Parameter, *, ranges: bool) -> range:
    matched = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part, re.ASCII)
    if matched is None or (matched[2] and not ranges):
        example = "12-16 or 12,14" if ranges else "4,13"
        raise click.BadParameter(f"{_fault(part, value)}; write {example}", param=param)
    low, high = _number(matched[1], param), _number(matched[2] or matched[1], param)
    if low > high or high - low >= MAX_RANGE:
        raise click.BadParameter(
            f"the range {shorten(part)} {'runs backwards' if low > high else 'is too long'}", param=param
        )
    return range(low, high + 1)


def _number(digits: str, param: click.Parameter) -> int:
    digits = digits.lstrip("0") or "0"
    if len(digits) > len(str(MAX_NUMBER)):
        raise click.BadParameter(f"{shorten(digits)} is too large: the greatest number is {MAX_NUMBER}", param=param)
    return int(digits)


def _fault(part: str, value: str) -> str:
    """What is wrong with a part that is neither a number nor a range."""
    if not value.strip():
        return "the list is empty"
    if not part:
        return f"a number is missing beside a comma in {shorten(value)!r}"
    if re.fullmatch(r"-[0-9]+", part, re.ASCII):
        return f"{shorten(part)} in {shorten(value)!r} is negative: the least number is 0"
    return f"{shorten(part)!r} in {shorten(value)!r} is not a number"
