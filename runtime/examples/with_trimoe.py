"""Answers by one variant with trimoe's ONNX engine; needs `pip install 'trimoe[cpu]'`, neither torch nor transformers.

python with_trimoe.py artifacts/demo b14-k4 "Read the number." photo.png
"""

import sys
from pathlib import Path

from PIL import Image

from runtime.documents.manifest import read_manifest
from runtime.engines.greedy import generate
from runtime.engines.open import open_engine
from runtime.engines.prompts import PromptReader, Question
from runtime.engines.trust import CheckRecords

family, variant, text, *images = sys.argv[1:]
manifest = read_manifest(Path(family))
engine = open_engine("onnx", Path(family), manifest, records=CheckRecords())  # checked once on this machine
reader = PromptReader(Path(family) / manifest.variant(variant).folder)
question = Question(text=text, image=Image.open(images[0]) if images else None)
tokens = generate(engine, reader.read([question], variant=variant), max_new_tokens=20, ends=reader.ends)
print(reader.texts(tokens)[0])
