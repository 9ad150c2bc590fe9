"""The study's eight data sets: where they come from, how they are asked, which metric scores them.

To add one: a module in `publishers/` that reads its publisher's files, and a row here.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from profiles.datasets.dataset import CAPTIONING, CHOICE, COUNTING, DOCUMENT, SCENE_TEXT, VQA, Dataset, Layout, Settings
from profiles.datasets.publishers.coco_caption import KARPATHY, caption_files, load_captions
from profiles.datasets.publishers.coco_vqa import vqa_files, vqa_loader
from profiles.datasets.publishers.doc_qa import doc_qa_files, load_doc_qa
from profiles.datasets.publishers.files import first_present
from profiles.datasets.publishers.scene_text import load_scene_text, scene_text_files
from profiles.datasets.publishers.science_qa import load_science_qa, science_qa_files
from profiles.datasets.publishers.tally_qa import load_tally_qa, tally_qa_files
from profiles.datasets.publishers.text_vqa import load_text_vqa, text_vqa_files
from profiles.errors import DatasetError
from profiles.metrics.catalogue import ANLS_STUDY, CIDER
from profiles.metrics.choice import MULTIPLE_CHOICE
from profiles.metrics.exact import EXACT_MATCH
from profiles.metrics.normalisation.cleanup import MOLMO, STRIP
from profiles.metrics.vqa import VQA_SCORE

_SHORT, _LONG = 16, 64
_COCO = "images from https://cocodataset.org/#download (2014 Train/Val images)"


def _settings(
    task: str, metric: str, style: str, fields: str = " {question}", *, cleanup: str = MOLMO, tokens: int = _SHORT
) -> Settings:
    """Molmo names the style of the wanted answer before the question (allenai/molmo, olmo/data/data_formatter.py)."""
    return Settings(task=task, metric=metric, cleanup=cleanup, prompt=f"{style}:{fields}", max_new_tokens=tokens)


_ROWS = (
    Layout(
        name="okvqa",
        settings=_settings(VQA, VQA_SCORE, "okvqa"),
        splits=("validation", "train"),
        files=vqa_files(""),
        load=vqa_loader("", "raw_answer"),
        download=f"questions and annotations (version 1.1) from https://okvqa.allenai.org/download.html, {_COCO}",
    ),
    Layout(
        name="coco-2014-vqa",
        settings=_settings(VQA, VQA_SCORE, "vqa2"),
        splits=("validation", "train"),
        files=vqa_files("v2_"),
        load=vqa_loader("v2_", "answer"),
        download="balanced real images, questions and "
        f"annotations (v2) from https://visualqa.org/download.html, {_COCO}",
    ),
    Layout(
        name="text-vqa",
        settings=_settings(VQA, VQA_SCORE, "text_vqa"),
        splits=("validation", "train"),
        files=text_vqa_files,
        load=load_text_vqa,
        download="questions (0.5.1) and the train/validation images from https://textvqa.org/dataset",
    ),
    Layout(
        name="science-qa-img",
        settings=_settings(CHOICE, MULTIPLE_CHOICE, "science_qa", " {question}\n{options}"),
        splits=("validation", "test", "train"),
        files=science_qa_files,
        load=load_science_qa,
        download="problems.json, pid_splits.json (data/scienceqa) and the images of train.zip, val.zip, test.zip "
        "from https://github.com/lupantech/ScienceQA",
    ),
    Layout(
        name="tally-qa",
        settings=_settings(COUNTING, EXACT_MATCH, "tally_qa"),
        splits=("test", "train"),
        files=tally_qa_files,
        load=load_tally_qa,
        download=f"tallyqa.zip from https://github.com/manoja328/TallyQA_dataset, {_COCO} and Visual Genome images "
        "as VG_100K, VG_100K_2",
    ),
    Layout(
        name="st-qa",
        settings=_settings(SCENE_TEXT, ANLS_STUDY, "st_qa"),
        splits=("validation", "train"),
        files=scene_text_files,
        load=load_scene_text,
        download="task 3 (training questions, and images beside them or in train_imgs) from "
        "https://rrc.cvc.uab.es/?ch=11",
    ),
    Layout(
        name="doc-qa",
        settings=_settings(DOCUMENT, ANLS_STUDY, "doc_qa"),
        splits=("validation", "train"),
        files=doc_qa_files,
        load=load_doc_qa,
        download="task 1 (spdocvqa_qas.zip and spdocvqa_images.tar.gz) from https://rrc.cvc.uab.es/?ch=17",
    ),
    Layout(
        name="coco-caption",
        settings=_settings(CAPTIONING, CIDER, "coco_captioning", "", cleanup=STRIP, tokens=_LONG),
        splits=("validation", "train", *KARPATHY),
        files=caption_files,
        load=load_captions,
        download="2014 Train/Val annotations (for Karpathy's splits dataset_coco.json of his "
        f"caption_datasets.zip) and {_COCO}",
    ),
)

LAYOUTS: Mapping[str, Layout] = MappingProxyType({row.name: row for row in _ROWS})


def load_layout(layout: Layout, folder: Path, split: str | None) -> Dataset:
    """A data set from its publisher's files in `folder`; `split` None takes the split that is usually scored.

    Raises DatasetError for an unknown split and when a file or a folder of images is missing, saying what to download;
    DocumentError for wrong content.
    """
    chosen = layout.splits[0] if split is None else split
    if chosen not in layout.splits:
        raise DatasetError(
            f"{layout.name}: no split {chosen!r}; the splits with answers are {', '.join(layout.splits)}"
        )
    files = layout.files(chosen)
    wanted = ", ".join(" or ".join(names) for names in files)
    todo = f"download {layout.download}, and lay it out so that {folder} holds {wanted}"
    for names in files:
        if not first_present(folder, names).exists():
            raise DatasetError(f"{layout.name}: {folder / names[0]} is missing; {todo}")
    samples = layout.load(folder, chosen)
    for place in dict.fromkeys(sample.image.parent for sample in samples if isinstance(sample.image, Path)):
        if not place.is_dir():
            raise DatasetError(
                f"{layout.name}: the folder of images {place} is missing; "
                f"{todo}, and images where the questions name them"
            )
    return Dataset(name=layout.name, samples=samples, settings=layout.settings)
