"""How many experts each source block uses: the values of --top-k or --top-k-list, checked against the model. Pure."""

import hashlib
from dataclasses import dataclass

from exporter.architectures.architecture import Architecture
from exporter.architectures.dimensions import ModelDimensions
from runtime.errors import PlanError


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpertChoice:
    """`per_block[b]` experts per token at source block b (None: a dense architecture).

    `label` is the part of a variant's id: "k4", "kmix" for a list of several values, "" for dense; `digest` the short
    digest of such a list, "" otherwise.
    """

    label: str
    digest: str
    per_block: tuple[int, ...] | None


def choose_experts(
    architecture: Architecture,
    dimensions: ModelDimensions,
    *,
    top_ks: tuple[int, ...] | None,
    top_k_list: tuple[int, ...] | None,
) -> tuple[ExpertChoice, ...]:
    """One choice per value of `top_ks` in the order given, or the one of `top_k_list`; without either, the source's own
    value.

    A value applies to the blocks after block 0 that have experts; block 0 and blocks without experts keep the source's.
    A list that says the same as one value is that choice, with its label. The digest of a list is the first 8
    hexadecimal digits of the sha256 of its values joined by commas.

    Raises PlanError: any value for a dense architecture, both kinds at once, values out of 1–experts, a value twice,
    a list of the wrong length, a list that changes block 0 or a block without experts.
    """
    if dimensions.top_k is None or dimensions.experts is None:
        if top_ks is not None or top_k_list is not None:
            raise PlanError(f"architecture {architecture.name} has no experts: top_k cannot be set")
        return (ExpertChoice(label="", digest="", per_block=None),)
    _check_values(top_ks, top_k_list, dimensions.experts)
    if top_k_list is not None:
        return (_from_list(dimensions, top_k_list, dimensions.top_k),)
    return tuple(_from_value(dimensions, value, dimensions.top_k) for value in top_ks or (dimensions.top_k,))


def _check_values(top_ks: tuple[int, ...] | None, top_k_list: tuple[int, ...] | None, experts: int) -> None:
    if top_ks is not None and top_k_list is not None:
        raise PlanError("top_k values and a top_k list cannot both be given")
    for value in (*(top_ks or ()), *(top_k_list or ())):
        if not 1 <= value <= experts:
            raise PlanError(f"cannot use {value} experts per token: the model has 1–{experts}")
    for value in top_ks or ():
        if (top_ks or ()).count(value) > 1:
            raise PlanError(f"top_k {value} is given twice")


def _from_value(dimensions: ModelDimensions, value: int, source: int) -> ExpertChoice:
    per_block = tuple(value if block > 0 and dimensions.sparse[block] else source for block in range(dimensions.blocks))
    return ExpertChoice(label=f"k{value}", digest="", per_block=per_block)


def _from_list(dimensions: ModelDimensions, values: tuple[int, ...], source: int) -> ExpertChoice:
    if len(values) != dimensions.blocks:
        raise PlanError(
            f"the top_k list has {len(values)} values: the model has {dimensions.blocks} blocks, block 0 included"
        )
    for block, value in enumerate(values):
        if value != source and (block == 0 or not dimensions.sparse[block]):
            reason = (
                "block 0 keeps the source's top_k"
                if block == 0
                else f"block {block} has no experts and keeps the source's top_k"
            )
            raise PlanError(f"the top_k list gives block {block} the value {value}: {reason}, {source}")
    given = {value for block, value in enumerate(values) if block > 0 and dimensions.sparse[block]}
    if len(given) <= 1:
        return _from_value(dimensions, given.pop() if given else source, source)
    digest = hashlib.sha256(",".join(map(str, values)).encode()).hexdigest()[:8]
    return ExpertChoice(label="kmix", digest=digest, per_block=values)
