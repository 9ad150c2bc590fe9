"""The document of a fitted latency estimator: coefficients of each stage, its bound, its held-out errors, its domain.

The format is trimoe's own, "trimoe.latency-estimator" version 1; the types below are its definition.
"""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from runtime.documents.checked_json import Node, dump_document, read_document
from runtime.documents.schema import Positive, convert, fields_of, read_fields

FORMAT = "trimoe.latency-estimator"
VERSION = 1
BATCH, VISION_TOKENS, PROMPT_TOKENS, POSITION = "batch", "vision_tokens", "prompt_tokens", "position"
DEPTH, TOP_K = "depth", "top_k"

Milliseconds = Annotated[float, Meta(ge=0)]
Ratio = Annotated[float, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Term(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One term of runtime/latency/terms.py: `ms` milliseconds for each unit; `call.…` counts once a call, others once a
    layer."""

    name: str
    ms: Milliseconds


class HeldOut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Errors on points that the fit had not seen: `by` says what was left out together (`variant`, `length`, `batch`).

    `mape` is the mean absolute error as a share of what was measured; `coverage` how often the upper bound held.
    """

    by: str
    groups: Positive
    points: Positive
    mape: Annotated[float, Meta(ge=0)]
    coverage: Share


class StageModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage. What is measured stays below `bound` × predicted at the estimator's level."""

    stage: str
    points: Positive
    bound: Ratio
    terms: tuple[Term, ...]
    held_out: tuple[HeldOut, ...]


class Range(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The least and the greatest value of an input among the points fitted on, both inclusive."""

    name: str
    low: float
    high: float


class LatencyEstimator(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one engine with one type of weights on one device. `experts` of a layer (None: dense); `bound`
    is the end-to-end one, at `level`; `sources` names the files that the points came from, with their digests."""

    trimoe: str
    device: str
    engine: str
    dtype: str
    experts: Positive | None
    level: Share
    bound: Ratio
    stages: tuple[StageModel, ...]
    held_out: tuple[HeldOut, ...]
    domain: tuple[Range, ...]
    sources: tuple[str, ...]


def dump_estimator(estimator: LatencyEstimator) -> bytes:
    """The bytes of an estimator's file."""
    return dump_document({"format": FORMAT, "version": VERSION, **fields_of(estimator)})


def read_estimator(path: Path) -> LatencyEstimator:
    """Read and check an estimator. Raises DocumentError with the key path of what is wrong, also for a stage, a term or
    an input that is there twice, and a range that ends before it begins."""
    node = read_fields(read_document(path), format=FORMAT, version=VERSION, what="a latency estimator of trimoe")
    estimator = convert(node, LatencyEstimator)
    _check_names(node.require("stages"), "stage", [one.stage for one in estimator.stages])
    _check_names(node.require("domain"), "name", [one.name for one in estimator.domain])
    for place, model in zip(node.require("stages").elements(), estimator.stages, strict=True):
        _check_names(place.require("terms"), "name", [one.name for one in model.terms])
    for place, one in zip(node.require("domain").elements(), estimator.domain, strict=True):
        if one.low > one.high:
            place.require("low").fail(f"{one.low} is above high, {one.high}")
    return estimator


def _check_names(node: Node, key: str, names: list[str]) -> None:
    for number, place in enumerate(node.elements()):
        if names[number] in names[:number]:
            place.require(key).fail(f"{names[number]} occurs twice")
