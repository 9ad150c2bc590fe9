"""The stages of an answer, by name: what engines time, profiles record and estimators predict."""

IMAGE = "image"  # pixels into what the vision tower reads
VISION = "vision"  # tower and projector
EMBEDDINGS = "embeddings"  # tokens, and image features in their places
PREFILL = "prefill"  # all layers, and the head at the last position
SAMPLING = "sampling"  # logits into a token
DECODE = "decode"  # one further token
BEFORE_FIRST_TOKEN = (IMAGE, VISION, EMBEDDINGS, PREFILL, SAMPLING)
STAGES = (*BEFORE_FIRST_TOKEN, DECODE)
