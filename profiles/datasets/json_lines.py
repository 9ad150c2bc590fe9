"""A data set that a user writes: one JSON object a line.

Keys: `question` (required); `image`, a path relative to the file, or `image_base64`, an encoded image; `id` (default:
the line's number); and what the metric needs: `answers` (list), `options` (list) with `answer_index`, or `references`
(list). Blank lines are skipped.

The prompt of multiple choice lists the options as lines `A: …`, and answers are read as letters: of a model that
answers with an option's text, `mc/molmo` takes the nearest letter, which is luck. With questions that name their
options and a prompt that does not list them (`--prompt NAME='{question}'`), answers are compared with the options'
texts.
"""

import base64
import binascii
import codecs
import re
from pathlib import Path

from profiles.datasets.dataset import CAPTIONING, CHOICE, VQA, Dataset, Settings
from profiles.datasets.publishers.files import strings
from profiles.errors import DatasetError
from profiles.metrics.catalogue import CIDER
from profiles.metrics.choice import MULTIPLE_CHOICE
from profiles.metrics.exact import EXACT_MATCH
from profiles.metrics.normalisation.cleanup import MOLMO, STRIP
from profiles.metrics.vqa import VQA_SCORE
from profiles.sample import Sample
from runtime.documents.checked_json import Node, parse_document

KEYS = ("id", "image", "image_base64", "question", "answers", "options", "answer_index", "references")
_FULL_SCORE = 3


def load_json_lines(name: str, path: Path) -> Dataset:
    """The data set in a JSON-lines file.

    Raises DatasetError when the file or nothing in it can be read, DocumentError naming line and key for wrong content.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    except OSError as error:
        raise DatasetError(f"{name}: {path} cannot be read: {error.strerror or error}") from error
    samples = tuple(
        _sample(parse_document(line, file=f"{path}: line {number}"), path.parent, number)
        for number, line in enumerate(lines, 1)
        if line.strip()
    )
    if not samples:
        raise DatasetError(f"{name}: {path} has no samples")
    return Dataset(name=name, samples=samples, settings=guess_settings(samples))


def guess_settings(samples: tuple[Sample, ...]) -> Settings:
    """The settings that fit what the samples have: options, then references, then answers (three a sample make a VQA
    score, fewer exact match)."""
    if all(sample.options for sample in samples):
        return Settings(
            task=CHOICE, metric=MULTIPLE_CHOICE, cleanup=MOLMO, prompt="{question}\n{options}", max_new_tokens=16
        )
    if all(sample.references for sample in samples):
        return Settings(task=CAPTIONING, metric=CIDER, cleanup=STRIP, prompt="{question}", max_new_tokens=64)
    graded = all(len(sample.answers) >= _FULL_SCORE for sample in samples)
    return Settings(
        task=VQA, metric=VQA_SCORE if graded else EXACT_MATCH, cleanup=MOLMO, prompt="{question}", max_new_tokens=16
    )


def _sample(node: Node, folder: Path, number: int) -> Sample:
    for key, entry in node.items():
        if key not in KEYS:
            entry.fail(f"unknown key; the keys are {', '.join(KEYS)}")
    identity, index = node.get("id"), node.get("answer_index")
    return Sample(
        id=str(number) if identity is None else identity.string(),
        question=node.require("question").string(),
        image=_image(node, folder),
        answers=_texts(node, "answers"),
        options=_texts(node, "options"),
        answer_index=None if index is None else index.integer(minimum=0),
        references=_texts(node, "references"),
    )


def _local(node: Node, folder: Path) -> Path:
    """A path of an image's file. Refuses what only looks like one."""
    text = node.string()
    if text.startswith("data:"):
        node.fail("a data URI; give what stands behind its comma as image_base64")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        node.fail(f"{text[:60]!r} is an address; images are read from files: download it")
    return folder / text


def _texts(node: Node, key: str) -> tuple[str, ...]:
    found = node.get(key)
    return () if found is None else strings(found)


def _image(node: Node, folder: Path) -> Path | bytes | None:
    path, encoded = node.get("image"), node.get("image_base64")
    if path is not None and encoded is not None:
        node.fail("image and image_base64 are both given")
    if path is not None:
        return _local(path, folder)
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded.string(), validate=True)
    except binascii.Error as error:
        encoded.fail(f"not base64: {error}")
