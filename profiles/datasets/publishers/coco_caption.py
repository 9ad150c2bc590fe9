"""COCO captions: cocodataset.org's file of annotations, several captions an image, or Karpathy's splits of them.

Chen et al., Microsoft COCO Captions, 2015, in the format of https://cocodataset.org/#format-data; Karpathy and Fei-Fei,
Deep Visual-Semantic Alignments for Generating Image Descriptions, 2015 (dataset_coco.json of caption_datasets.zip).
"""

from pathlib import Path

from profiles.datasets.publishers.coco_vqa import SUBSETS, coco_image
from profiles.datasets.publishers.files import first_present, identifier, read_source
from profiles.sample import Sample
from runtime.documents.schema import relative_path

KARPATHY = {"karpathy-test": ("test",), "karpathy-validation": ("val",), "karpathy-train": ("train", "restval")}
"""Karpathy's validation and test images are all in val2014, as are those of `restval`, which is trained on."""

_KARPATHY_FILES = ("dataset_coco.json", "karpathy/dataset_coco.json", "annotations/dataset_coco.json")


def caption_files(split: str) -> tuple[tuple[str, ...], ...]:
    """The files of a split."""
    if split in KARPATHY:
        return (_KARPATHY_FILES, ("val2014",))
    name = f"captions_{SUBSETS[split]}.json"
    return ((f"annotations/{name}", name), (SUBSETS[split],))


def load_captions(folder: Path, split: str) -> tuple[Sample, ...]:
    """One sample an image that has captions, in the order of image ids; Karpathy's splits in the order of their
    file."""
    document = read_source(first_present(folder, caption_files(split)[0]))
    if split in KARPATHY:
        return tuple(
            Sample(
                id=identifier(entry.require("cocoid")),
                question="",
                image=folder / relative_path(entry.require("filepath")) / relative_path(entry.require("filename")),
                references=tuple(
                    sentence.require("raw").string() for sentence in entry.require("sentences").elements()
                ),
            )
            for entry in document.require("images").elements()
            if entry.require("split").string() in KARPATHY[split]
        )
    captions: dict[int, list[str]] = {}
    for entry in document.require("annotations").elements():
        captions.setdefault(entry.require("image_id").integer(minimum=0), []).append(entry.require("caption").string())
    return tuple(
        Sample(id=str(number), question="", image=coco_image(folder, SUBSETS[split], number), references=tuple(found))
        for number, found in sorted(captions.items())
    )
