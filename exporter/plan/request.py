"""What a user asks of a plan."""

from dataclasses import dataclass

from exporter.evidence.evidence import ExplicitRemovals, Importance, Recommendations


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRequest:
    """What a user asks of a plan, with the evidence already read.

    `chosen` decides which blocks go; `also` is only compared. `depths` are numbers of kept blocks (None: all that the
    evidence covers). `top_ks` are experts per token of the layers after block 0 (None: the source's); `top_k_list` is
    instead one value per source block, block 0 included, which must keep the source's. `protected` blocks are never
    removed; block 0 is protected without being listed. `graphs` are the types of weights, by name, in which the family
    gets ONNX graphs too.
    """

    chosen: Importance | Recommendations | ExplicitRemovals
    also: tuple[Importance | Recommendations, ...] = ()
    depths: tuple[int, ...] | None = None
    top_ks: tuple[int, ...] | None = None
    top_k_list: tuple[int, ...] | None = None
    protected: tuple[int, ...] = ()
    graphs: tuple[str, ...] = ()
