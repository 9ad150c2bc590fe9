"""The document of a fitted accuracy model: measured settings, and per task what makes scores of others follow from
them.

A setting is the source's kept blocks with the experts per token of each; it need not be a variant of any family. The
format is trimoe's own, "trimoe.accuracy-model" version 1; the types below are its definition, runtime/accuracy/ says
how a score is predicted from them.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from runtime.documents.checked_json import Node, dump_document, read_document
from runtime.documents.schema import Natural, Positive, Sha256, convert, fields_of, read_fields

FORMAT = "trimoe.accuracy-model"
VERSION = 1

Share = Annotated[float, Meta(ge=0, le=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Above0 = Annotated[float, Meta(gt=0)]


class Setting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`layers[i]` is the source block at layer i, `top_k[i]` its experts per token."""

    layers: tuple[Natural, ...]
    top_k: tuple[Positive, ...]


class Variances(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much the log-odds of scores vary with what is taken from the source: the first eight belong to the terms of
    runtime/accuracy/effects.py; `residual` is what no term explains, `sampling` the share of a score's sampling
    variance that is not common to all settings, which answer the same questions."""

    removed_shared: NotNegative
    removed_own: NotNegative
    removed_pairs: NotNegative
    experts_shared: NotNegative
    experts_own: NotNegative
    experts_pairs: NotNegative
    crossed_pairs: NotNegative
    curvature: NotNegative
    residual: NotNegative
    sampling: NotNegative


class HeldOut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Errors on settings that the fit had not seen: the mean absolute error, a share, and how often the score lay
    within its interval. `by` says which: `left out` one at a time, or `measured later`."""

    by: str
    settings: Positive
    mean_error: Share
    coverage: Share


class Score(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the document's setting of that number scored: a share (0–1), and its standard error over samples."""

    setting: Natural
    score: Share
    error: NotNegative


class TaskModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One task. The first score is the whole model's; `power` bends the effect of fewer experts; an interval reaches
    `width` standard deviations to each side."""

    task: str
    metric: str
    samples: Positive
    scores: tuple[Score, ...]
    power: Above0
    variances: Variances
    width: Above0
    held_out: tuple[HeldOut, ...]


class Domain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the settings reach: the most blocks removed, the least experts per token."""

    most_removed: Natural
    least_top_k: Positive


class AccuracyModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one checkpoint, of digest `source_digest`: `blocks` with `top_k` experts per token each. The
    first setting is the whole model. `level` is that of the intervals."""

    trimoe: str
    source_digest: Sha256
    blocks: Positive
    top_k: Positive
    level: Share
    settings: tuple[Setting, ...]
    tasks: tuple[TaskModel, ...]
    domain: Domain


def dump_accuracy_model(model: AccuracyModel) -> bytes:
    """The bytes of an accuracy model's file."""
    return dump_document({"format": FORMAT, "version": VERSION, **fields_of(model)})


def read_accuracy_model(path: Path) -> AccuracyModel:
    """Read and check an accuracy model. Raises DocumentError with the key path of what is wrong, also for settings that
    are none of this source, that are there twice or do not begin with the whole model, and for tasks that are there
    twice or have not one score a setting."""
    node = read_fields(read_document(path), format=FORMAT, version=VERSION, what="an accuracy model of trimoe")
    model = convert(node, AccuracyModel)
    _check_settings(node.require("settings"), model)
    seen: set[str] = set()
    for place, task in zip(node.require("tasks").elements(), model.tasks, strict=True):
        if task.task in seen:
            place.require("task").fail(f"{task.task} occurs twice")
        seen.add(task.task)
        _check_scores(place.require("scores"), task, len(model.settings))
    return model


def _check_scores(node: Node, task: TaskModel, settings: int) -> None:
    if not task.scores or task.scores[0].setting != 0:
        node.fail("the first has to be of setting 0, the whole model")
    seen: set[int] = set()
    for place, score in zip(node.elements(), task.scores, strict=True):
        if score.setting >= settings:
            place.require("setting").fail(f"no setting {score.setting}: there are {settings}")
        if score.setting in seen:
            place.require("setting").fail(f"setting {score.setting} occurs twice")
        seen.add(score.setting)


def _check_settings(node: Node, model: AccuracyModel) -> None:
    whole = Setting(layers=tuple(range(model.blocks)), top_k=(model.top_k,) * model.blocks)
    if model.settings[:1] != (whole,):
        node.fail(f"the first has to be the whole model, {model.blocks} blocks with top_k {model.top_k}")
    seen: set[Setting] = set()
    for place, setting in zip(node.elements(), model.settings, strict=True):
        layers = setting.layers
        if not layers or layers[0] != 0 or any(after <= before for before, after in pairwise(layers)):
            place.require("layers").fail(f"{list(layers)} are not ascending source blocks from block 0 on")
        if layers[-1] >= model.blocks:
            place.require("layers").fail(f"no block {layers[-1]}: the source has blocks 0–{model.blocks - 1}")
        if len(setting.top_k) != len(layers):
            place.require("top_k").fail(f"{len(setting.top_k)} values for {len(layers)} layers")
        if max(setting.top_k) > model.top_k:
            place.require("top_k").fail(f"{max(setting.top_k)} is above the source's, {model.top_k}")
        if setting in seen:
            place.fail("this setting occurs twice")
        seen.add(setting)
