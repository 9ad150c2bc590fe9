"""Answers a question about an image by one variant, copied out of its family with its graphs, with onnxruntime and the
processor that travels with it, without a self-test.

trimoe standalone artifacts/demo --variant b14-k4 --format safetensors,onnx --out b14-k4
python with_onnxruntime_images.py b14-k4 "Read the number." photo.png
"""

import sys
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession
from PIL import Image
from transformers import AutoProcessor

copy, text, picture = sys.argv[1:]
graphs = sorted(Path(copy, "onnx", "float32").glob("*.onnx"))  # b14-k4.onnx, embeddings.onnx, vision.onnx
decoder, embeddings, vision = map(InferenceSession, graphs)
ends = decoder.get_modelmeta().custom_metadata_map["trimoe.end_tokens"].split()
processor = AutoProcessor.from_pretrained(copy, trust_remote_code=True)
inputs = processor(images=[Image.open(picture)], text=[text], padding_side="right", return_tensors="np")
images = {"image_features": vision.run(None, {name: inputs[name] for name in ("images", "image_masks")})[0]}
images["image_input_idx"] = inputs["image_input_idx"]
caches = [value for value in decoder.get_inputs() if value.name.startswith("past_key_values.")]
past = {value.name: np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32) for value in caches}
outputs = [value.name.replace("present", "past_key_values") for value in decoder.get_outputs()]
tokens = [inputs["input_ids"]]
while len(tokens) <= 20 and str(tokens[-1][0, -1]) not in ends:
    embeds = embeddings.run(None, {"input_ids": tokens[-1], **images})[0]
    mask = np.ones((1, sum(step.shape[1] for step in tokens)), np.int64)
    found = decoder.run(None, {"inputs_embeds": embeds, "attention_mask": mask, **past})
    past, images = dict(zip(outputs[1:], found[1:], strict=True)), {name: one[:, :0] for name, one in images.items()}
    tokens.append(found[0][:, -1:].argmax(-1))
print(processor.decode(np.concatenate(tokens[1:], 1)[0], skip_special_tokens=True))
