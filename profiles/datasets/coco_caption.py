"""COCO captions as cocodataset.org ships them: one file of annotations, several captions an image."""

from pathlib import Path

from profiles.datasets.coco_vqa import SUBSETS, coco_image
from profiles.datasets.sample import Sample
from profiles.datasets.sources import read_source


def caption_files(split: str) -> tuple[str, ...]:
    """The files of a split."""
    return (f"annotations/captions_{SUBSETS[split]}.json", SUBSETS[split])


def load_captions(folder: Path, split: str) -> tuple[Sample, ...]:
    """One sample an image that has captions, in the order of image ids."""
    document = read_source(folder / caption_files(split)[0])
    captions: dict[int, list[str]] = {}
    for entry in document.require("annotations").elements():
        captions.setdefault(entry.require("image_id").integer(minimum=0), []).append(entry.require("caption").string())
    return tuple(
        Sample(id=str(number), question="", image=coco_image(folder, SUBSETS[split], number), references=tuple(found))
        for number, found in sorted(captions.items())
    )
