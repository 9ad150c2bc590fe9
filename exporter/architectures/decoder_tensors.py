"""How an architecture's decoder is built, as data: what its tensors are called inside a block and which kind of each
part it has.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderTensors:
    """Tensor names of a decoder, and what it computes differently from others. Names of block tensors follow the
    block's prefix; a `.weight` (and `.bias`) is part of the name's end.

    `embeddings` are stacked row-wise. `query_key_value` are the projections in that order, one name when they are fused
    on disk. `query_norm` and `key_norm` are RMS norms over the whole projection, or over each head where their length
    is the head's width (None: none). `renormalised` says whether the chosen experts' weights are divided by their sum:
    always, never, or as the config's norm_topk_prob says (None). `shared_expert` is a SwiGLU MLP beside the experts,
    weighted by the sigmoid of `shared_expert_gate`. `dense` is the MLP of a block without experts. `inputs` is
    "input_ids", or "inputs_embeds" where image features are added first. Where the config clips queries, keys and
    values, it happens after their norms, or before where `clip_before_norm`.
    """

    embeddings: tuple[str, ...] = ("model.embed_tokens.weight",)
    final_norm: str = "model.norm.weight"
    head: str = "lm_head.weight"
    attention_norm: str = "input_layernorm.weight"
    query_key_value: tuple[str, ...] = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    attention_output: str = "self_attn.o_proj"
    query_norm: str | None = None
    key_norm: str | None = None
    feed_forward_norm: str = "post_attention_layernorm.weight"
    router: str | None = "mlp.gate.weight"
    renormalised: bool | None = False
    shared_expert: str | None = None
    shared_expert_gate: str | None = None
    dense: str = "mlp."
    inputs: str = "input_ids"
    clip_before_norm: bool = False
