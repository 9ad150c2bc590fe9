"""Answers by one variant of a family of text with transformers alone; the variant's folder may be copied anywhere.

python with_transformers.py artifacts/olmoe b14-k4 "How many"
"""

import sys
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig

family, variant, text = sys.argv[1:]
if Path(family, "variants", variant, "preprocessor_config.json").exists():
    sys.exit(f"{family} reads images; this example is for families of text (with_trimoe.py is for both)")
folder = f"{family}/variants/{variant}"
# Remote code is needed, and there, only where layers have different numbers of experts per token.
model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype="auto")
tokenizer = AutoTokenizer.from_pretrained(folder, config=PreTrainedConfig())
inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
tokens = model.generate(**inputs, max_new_tokens=20, do_sample=False)
print(tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
