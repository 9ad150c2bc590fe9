"""Answers by one variant of a family of text with onnxruntime-genai, without a self-test.

python with_genai.py artifacts/olmoe b14-k4 "How many"
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime_genai as genai
from tokenizers import Tokenizer

family, variant, text = sys.argv[1:]
if Path(family, "variants", variant, "preprocessor_config.json").exists():
    sys.exit(f"{family} reads images; this example is for families of text (with_trimoe.py is for both)")
model = genai.Model(f"{family}/onnx/float32/{variant}")
tokenizer = Tokenizer.from_file(f"{family}/variants/{variant}/tokenizer.json")
prompt = tokenizer.encode(text).ids
parameters = genai.GeneratorParams(model)
parameters.set_search_options(max_length=len(prompt) + 20, do_sample=False)
generator = genai.Generator(model, parameters)
generator.append_tokens(np.array([prompt], np.int32))
while not generator.is_done():
    generator.generate_next_token()
print(tokenizer.decode(generator.get_sequence(0)[len(prompt) :]))
