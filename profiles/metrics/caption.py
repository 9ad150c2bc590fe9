"""Captions compared whole with their references. Id: `caption_match/trimoe`."""

from collections.abc import Sequence

CAPTION_MATCH = "caption_match/trimoe"


def caption_match(references: Sequence[str], prediction: str) -> float:
    """1.0 when the caption is one of its references, case and white space ignored. Raises ValueError without
    references.

    trimoe's own definition: an accuracy between 0 and 1, which CIDEr is not: it can be averaged with other tasks.
    """
    if isinstance(references, str) or not references:
        raise ValueError(f"caption_match needs a list of references: got {references!r}")
    return float(_plain(prediction) in [_plain(reference) for reference in references])


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
