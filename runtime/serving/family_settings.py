"""How a family is served, beside what it is."""

from dataclasses import dataclass, field

from runtime.engines.prepared.forms import PreparedForms
from runtime.engines.trust import CheckRecords
from runtime.serving.batching.limits import Limits
from runtime.serving.decisions.log_file import LogFile
from runtime.serving.elastic import Elastic


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilySettings:
    """Only `variants` are served (None: all). `threads` of each engine (None: its own number). Variants that passed
    their checks on this machine before, as `records` say, are trusted; None: checked each time. `prefix_bytes` of keys
    and values are kept by each engine for prompts that begin as others did. Packed weights, for types that need them,
    are those of `prepared` (None: each variant packs for itself). At most `most_bytes` of variants stay
    loaded (None: what memory allows). Outside what an estimator was fitted on its bounds are widened, or nothing is
    predicted where `widen` is false. With `elastic`, variants of the family's blocks that were not exported may answer.
    Upper bounds are for an answer that a share `quantile` of those of its task does not exceed. Decisions go to `log`,
    texts of prompts with `log_prompts` only."""

    variants: tuple[str, ...] | None = None
    threads: int | None = None
    records: CheckRecords | None = None
    prefix_bytes: int = 0
    prepared: PreparedForms | None = field(default_factory=PreparedForms)
    limits: Limits = field(default_factory=Limits)
    most_bytes: int | None = None
    widen: bool = True
    elastic: Elastic | None = None
    quantile: float = 0.95
    log: LogFile | None = None
    log_prompts: bool = False
