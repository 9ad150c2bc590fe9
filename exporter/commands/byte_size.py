"""Sizes on the command line, such as `1.7GB`, `512MiB` or `4096`."""

import re

import click

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


def byte_size(_: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Option callback: a number of bytes ≥ 1 with an optional decimal or binary unit. A usage error for anything
    else."""
    if value is None:
        return None
    matched = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)", value.strip(), re.ASCII)
    if matched is None or matched[2].upper() not in _UNITS:
        raise click.BadParameter(f"{value!r} is not a size; write for example 1.7GB", param=param)
    size = round(float(matched[1]) * _UNITS[matched[2].upper()])
    if size < 1:
        raise click.BadParameter(f"{value!r} is less than one byte", param=param)
    return size
