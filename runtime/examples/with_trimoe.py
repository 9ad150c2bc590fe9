"""Answers by one variant with trimoe; needs `pip install 'trimoe[cpu]'`, neither torch nor transformers.

python with_trimoe.py artifacts/demo b14-k4 "Read the number." photo.png
"""

import sys

from PIL import Image

from runtime.engines.trust import CheckRecords
from runtime.serving.family_settings import FamilySettings
from runtime.serving.request import Request, Sampling
from runtime.serving.variant import Variant

family, name, text, *images = sys.argv[1:]
image = Image.open(images[0]) if images else None
request = Request(text=text, image=image, sampling=Sampling(max_tokens=20))
with Variant.load(family, name, settings=FamilySettings(records=CheckRecords())) as variant:  # checked once here
    print(variant.generate(request).text)
