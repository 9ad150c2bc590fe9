"""Answers by one variant of a family of text with onnxruntime alone, without a self-test.

python with_onnxruntime.py artifacts/olmoe b14-k4 "How many"
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

family, variant, text = sys.argv[1:]
if Path(family, "variants", variant, "preprocessor_config.json").exists():
    sys.exit(f"{family} reads images; this example is for families of text (with_trimoe.py is for both)")
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
options.add_session_config_entry("session.disable_prepacking", "1")  # else each session copies its weights
session = onnxruntime.InferenceSession(f"{family}/onnx/float32/{variant}.onnx", options)
folder = Path(family, "variants", variant)
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
end = json.loads((folder / "config.json").read_text())["eos_token_id"]
caches = [value for value in session.get_inputs() if value.name.startswith("past_key_values.")]
past = {value.name: np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32) for value in caches}
outputs = [value.name for value in session.get_outputs()]
tokens = [tokenizer.encode(text).ids]
while len(tokens) <= 20 and tokens[-1] != [end]:
    mask = np.ones((1, sum(map(len, tokens))), np.int64)
    found = session.run(None, {"input_ids": np.array([tokens[-1]]), "attention_mask": mask, **past})
    past = {name.replace("present", "past_key_values"): one for name, one in zip(outputs[1:], found[1:], strict=True)}
    tokens.append([int(found[0][0, -1].argmax())])
print(tokenizer.decode([token for step in tokens[1:] for token in step]))
