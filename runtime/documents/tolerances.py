"""How far two computations of the same numbers may be apart: every limit on logits, embeddings and scores of experts,
and why. Each is a share of the largest |value| of what is compared; without a limit here, bits must be equal."""

# A graph and transformers, both in float32 on one machine, sum in different orders.
GRAPH_LOGITS = 1e-4
GRAPH_EMBEDDINGS = 1e-4

# Of the scores of experts. Experts of the graph and of transformers that differ must be this near each other.
TIED_EXPERTS = 1e-4
# Nearer than this, rounding decides which of two experts a token goes to; from there on the logits of the row may
# differ by what the experts do. At least the share LEAST_COMPARED of all tokens must not be left out for that.
UNDECIDED_EXPERTS = 1e-5
LEAST_COMPARED = 0.25

# Golden logits of a variant's safetensors form, by the type it computes in, on a machine with other threads, another
# processor or other library versions, which sum in another order.
GOLDEN = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}

# Root mean square of the logits of a quantised graph with activations of 8 bits from those without, over that of the
# logits: up to 0.043 in 48 random tiny models; one layer without its experts makes 0.06–0.41 there.
SERVED_LOGITS = 0.1

# Golden logits of a float32 graph, on the provider that made them: another processor's order of sums.
GRAPH_GOLDEN = 1e-3
# Golden logits of a graph, by its type. float32 and quantised ones on another provider, because reduced-precision
# products are the default elsewhere. Half precisions on any provider: transformers' own models in these types, eleven
# random tiny ones, are 0.0011 and 0.010 from float32 in the median, at worst 0.029 and 0.075, where a token falls to
# other experts; the demo 0.004 and 0.033. One layer without its experts makes 0.05–0.2 in the tiny models; in the demo
# 0.16 of float16 in the median, 0.017 where it matters least, which no such limit finds.
# int8 and int4 on any provider too: with activations of 8 bits, an order of sums that lifts one of them over the edge
# between two codes moves a logit by up to 0.011 in 48 tiny models, and most not at all; one expert less in one layer
# moves one by 0.05 at least.
GRAPH_GOLDEN_ELSEWHERE = {"float32": 3e-2, "float16": 3e-2, "bfloat16": 8e-2, "int8": 3e-2, "int4": 3e-2}
