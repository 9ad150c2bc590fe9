"""The pruning study's runs, one measured answer a sample, as observations.

Format: the JSON that the study's benchmark script writes, `{"per_sample_results": [{actual_vision_tokens, …}, …]}`,
milliseconds. Its `top_k` is that of the blocks after the first, which keeps `FIRST_TOP_K`; its `num_active_blocks`
counts the first.
"""

from collections.abc import Iterator

from profiles.latency.fit.observations import Observation
from runtime.documents.checked_json import Node
from runtime.engines.stages import DECODE, PREFILL, VISION
from runtime.latency.workload import Layers, Workload

RESULTS = "per_sample_results"
FIRST_TOP_K = 8
MAX_TOKENS = 10**7


def is_study_runs(node: Node) -> bool:
    """Whether a document is one of the study's files of runs."""
    return isinstance(node.value, dict) and RESULTS in node.value


def read_study_runs(node: Node, *, experts: int) -> tuple[Observation, ...]:
    """The observations of all samples: vision (tower and projector), prefill, and decoding at the mean position.

    Raises DocumentError naming the sample and the key for a value that is missing, not a number, or no time.
    """
    return tuple(one for sample in node.require(RESULTS).elements() for one in _sample(sample, experts))


def _sample(sample: Node, experts: int) -> Iterator[Observation]:
    top_k = sample.require("top_k").integer(minimum=1, maximum=experts)
    depth = sample.require("num_active_blocks").integer(minimum=1, maximum=10_000)
    layers = Layers.of((FIRST_TOP_K, *(top_k,) * (depth - 1)), experts=experts)
    load = Workload(
        vision_tokens=sample.require("actual_vision_tokens").integer(minimum=0, maximum=MAX_TOKENS),
        text_tokens=sample.require("actual_text_tokens").integer(minimum=0, maximum=MAX_TOKENS),
    )
    steps = _steps(sample)
    times = {PREFILL: _milliseconds(sample, "T_LLM_prefill")}
    if load.vision_tokens:
        times = {VISION: _milliseconds(sample, "T_vision_total")} | times
    if steps:
        times[DECODE] = _milliseconds(sample, "T_decode_per_token")
    for stage, ms in times.items():
        yield Observation(
            stage=stage,
            variant=f"b{depth}-k{top_k}",
            layers=layers,
            load=load,
            ms=ms,
            position=load.prompt_tokens + max(steps - 1, 0) / 2 if stage == DECODE else 0.0,
            request=f"{sample.file}: {sample.place}",
            steps=steps,
        )


def _steps(sample: Node) -> int:
    """How many tokens the decoding time is of: what it is divided by to give the time per token."""
    if sample.require("output_tokens").integer(minimum=0, maximum=MAX_TOKENS) < 2:
        return 0
    return max(1, round(_milliseconds(sample, "T_LLM_decode") / _milliseconds(sample, "T_decode_per_token")))


def _milliseconds(sample: Node, key: str) -> float:
    node = sample.require(key)
    if node.number() <= 0:
        node.fail(f"{node.number():g} is no time; expected milliseconds above 0")
    return node.number()
