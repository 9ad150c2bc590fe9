"""Limits from a file: TOML, a table a data set with `tolerance` and `detect` in points, `alpha` and `power` at the top.

alpha = 0.05
[digits-vqa]
tolerance = 1
detect = 3
"""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from profiles.accuracy.gate.limits import LimitOptions, Points
from profiles.errors import MeasurementError

_SHARES, _POINTS = ("alpha", "power"), ("tolerance", "detect")


def limits_of_file(path: Path) -> LimitOptions:
    """The limits in the file. Raises MeasurementError naming the file, the key and what it may be."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise MeasurementError(f"{path}: no TOML file of limits: {error}") from error
    shares = {key: _number(path, key, value) for key, value in document.items() if not isinstance(value, dict)}
    if unknown := shares.keys() - set(_SHARES):
        raise MeasurementError(f"{path}: {min(unknown)} is unknown; at the top are {', '.join(_SHARES)}")
    tables = {name: value for name, value in document.items() if isinstance(value, dict)}
    return LimitOptions(
        tolerance=Points(named=_points(path, tables, "tolerance")),
        detect=Points(named=_points(path, tables, "detect")),
        **shares,
    )


def over(file: LimitOptions, options: LimitOptions, given: frozenset[str]) -> LimitOptions:
    """The file's limits with what the command line says in their place; `given` are the options it gave."""
    shares = {name: getattr(options, name) for name in _SHARES if name in given}
    return replace(
        file,
        tolerance=_joined(file.tolerance, options.tolerance),
        detect=_joined(file.detect, options.detect),
        **shares,
    )


def _joined(file: Points, options: Points) -> Points:
    return Points(everywhere=options.everywhere, named={**file.named, **options.named})


def _points(path: Path, tables: Mapping[str, Mapping[str, Any]], wanted: str) -> dict[str, float]:
    for name, table in tables.items():
        if unknown := table.keys() - set(_POINTS):
            raise MeasurementError(f"{path}: {name}.{min(unknown)} is unknown; a data set has {', '.join(_POINTS)}")
    return {
        name: _number(path, f"{name}.{wanted}", table[wanted]) / 100
        for name, table in tables.items()
        if wanted in table
    }


def _number(path: Path, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MeasurementError(f"{path}: {key} is {value!r}: expected a number")
    return float(value)
