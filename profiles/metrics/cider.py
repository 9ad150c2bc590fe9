"""CIDEr-D of a corpus of captions, on words: the algorithm and the 0–10 scale of pycocoevalcap."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LONGEST = 4
_SIGMA = 6.0
_SCALE = 10.0

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Vector:
    """A caption: the weight of each n-gram by n, the norm of each n, and its length, which counts bigrams."""

    weights: tuple[Mapping[Words, float], ...]
    norms: tuple[float, ...]
    length: int


def cider_scores(references: Sequence[Sequence[str]], predictions: Sequence[str]) -> tuple[float, ...]:
    """The CIDEr-D of each prediction, 0–10; the corpus score is their mean.

    Vedantam et al., CIDEr: Consensus-based Image Description Evaluation, 2015, as in pycocoevalcap
    (pycocoevalcap/cider/cider_scorer.py of tylin/coco-caption), which counts bigrams for a caption's length.

    Captions are texts of words between white space. Document frequencies are counted over all references given, one
    document an image, so a corpus of one image scores 0. Raises ValueError when the numbers differ or an image has no
    reference.
    """
    if len(references) != len(predictions):
        raise ValueError(f"cider: {len(predictions)} predictions for {len(references)} images")
    if any(isinstance(captions, str) or not captions for captions in references):
        raise ValueError("cider needs a list of references for every image")
    counted = [[_ngrams(caption) for caption in captions] for captions in references]
    frequencies = Counter(ngram for captions in counted for ngram in set().union(*captions))
    images = math.log(len(references)) if references else 0.0
    scores = []
    for captions, prediction in zip(counted, predictions, strict=True):
        vector = _vector(_ngrams(prediction), frequencies, images)
        similarities = [_similarity(vector, _vector(caption, frequencies, images)) for caption in captions]
        scores.append(_SCALE * sum(similarities) / len(similarities))
    return tuple(scores)


def _ngrams(caption: str) -> Counter[Words]:
    words = tuple(caption.split())
    return Counter(
        words[start : start + size] for size in range(1, _LONGEST + 1) for start in range(len(words) - size + 1)
    )


def _vector(counts: Counter[Words], frequencies: Mapping[Words, int], images: float) -> _Vector:
    """Term frequency times log of images over document frequency; n-grams that no reference has count as seen once."""
    weights: tuple[dict[Words, float], ...] = tuple({} for _ in range(_LONGEST))
    for ngram, count in counts.items():
        weights[len(ngram) - 1][ngram] = count * (images - math.log(max(1, frequencies.get(ngram, 0))))
    norms = tuple(math.sqrt(sum(weight * weight for weight in part.values())) for part in weights)
    return _Vector(
        weights=weights, norms=norms, length=sum(count for ngram, count in counts.items() if len(ngram) == 2)
    )


def _similarity(prediction: _Vector, reference: _Vector) -> float:
    """Mean over n of the clipped cosine, times a Gaussian penalty for the difference of lengths."""
    total = 0.0
    for mine, theirs, norm, other in zip(
        prediction.weights, reference.weights, prediction.norms, reference.norms, strict=True
    ):
        clipped = sum(min(weight, theirs[ngram]) * theirs[ngram] for ngram, weight in mine.items() if ngram in theirs)
        total += clipped / (norm * other) if norm and other else clipped
    difference = prediction.length - reference.length
    return total / _LONGEST * math.exp(-(difference**2) / (2 * _SIGMA**2))
