"""Every metric by its id: what it means, what it needs, and the function that scores a list of answers.

To add one: a module beside this one with its function, and a row here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from profiles.errors import MeasurementError
from profiles.metrics.anls import ANLS, anls
from profiles.metrics.anls_lmms import ANLS_LMMS, anls_lmms
from profiles.metrics.caption import CAPTION_MATCH, caption_match
from profiles.metrics.choice import MULTIPLE_CHOICE, multiple_choice
from profiles.metrics.choice_study import MULTIPLE_CHOICE_STUDY, multiple_choice_study
from profiles.metrics.cider import cider_scores
from profiles.metrics.exact import EXACT_MATCH, exact_match
from profiles.metrics.exact_study import EXACT_MATCH_COUNTS, EXACT_MATCH_STUDY, exact_match_counts, exact_match_study
from profiles.metrics.normalisation.ptb import find_ptb_tokenizer, ptb_tokenize
from profiles.metrics.vqa import VQA_SCORE, vqa_score
from profiles.metrics.vqa_lmms import VQA_SCORE_TEXTVQA, VQA_SCORE_VQAV2, vqa_score_textvqa, vqa_score_vqav2
from profiles.sample import Sample

ANLS_STUDY = "ansl_em/study"
CIDER = "cider/pycocoevalcap"
CIDER_WORDS = "cider/words"

Scorer = Callable[[Sequence[Sample], Sequence[str]], tuple[float, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A definition.

    `needs` names the field of a sample that must be there. `highest` is the score of a perfect answer. `binary`: every
    score is 0 or 1. `score` gives one score a sample, in order; the score of a data set is their mean. `find_tool`
    raises MissingToolError when a program that scoring needs is not installed, so that it is known before hours of
    answering.
    """

    id: str
    definition: str
    needs: str
    highest: float
    binary: bool
    score: Scorer
    find_tool: Callable[[], object] | None = None


def _each(function: Callable[[Sequence[str], str], float], field: str) -> Scorer:
    def score(samples: Sequence[Sample], texts: Sequence[str]) -> tuple[float, ...]:
        return tuple(function(getattr(sample, field), text) for sample, text in zip(samples, texts, strict=True))

    return score


def _choices(function: Callable[[Sequence[str], int, str], float]) -> Scorer:
    def score(samples: Sequence[Sample], texts: Sequence[str]) -> tuple[float, ...]:
        pairs = zip(samples, texts, strict=True)
        return tuple(
            function(one.options, -1 if one.answer_index is None else one.answer_index, text) for one, text in pairs
        )

    return score


def _cider(samples: Sequence[Sample], texts: Sequence[str]) -> tuple[float, ...]:
    """All captions go through the tokenizer in one run: it takes a second to start."""
    captions = [*texts, *(reference for sample in samples for reference in sample.references)]
    tokens = ptb_tokenize(captions, find_ptb_tokenizer())
    rest = iter(tokens[len(texts) :])
    return cider_scores([[next(rest) for _ in sample.references] for sample in samples], tokens[: len(texts)])


def _cider_words(samples: Sequence[Sample], texts: Sequence[str]) -> tuple[float, ...]:
    return cider_scores(
        [[one.lower() for one in sample.references] for sample in samples], [text.lower() for text in texts]
    )


def _row(
    id: str,
    definition: str,
    needs: str,
    score: Scorer,
    *,
    highest: float = 1.0,
    binary: bool = False,
    find_tool: Callable[[], object] | None = None,
) -> tuple[str, Metric]:
    return id, Metric(
        id=id, definition=definition, needs=needs, highest=highest, binary=binary, score=score, find_tool=find_tool
    )


METRICS: Mapping[str, Metric] = MappingProxyType(
    dict(
        (
            _row(
                VQA_SCORE,
                "min(matches / 3, 1) over the answers, after VQA-v2 normalisation",
                "answers",
                _each(vqa_score, "answers"),
            ),
            _row(
                VQA_SCORE_TEXTVQA,
                "mean over leave-one-out subsets of min(matches / 3, 1), after the normalisation of lmms-eval's "
                "text-vqa and ok-vqa",
                "answers",
                _each(vqa_score_textvqa, "answers"),
            ),
            _row(
                VQA_SCORE_VQAV2,
                "mean over leave-one-out subsets of min(matches / 3, 1), after the normalisation of lmms-eval's vqa-v2",
                "answers",
                _each(vqa_score_vqav2, "answers"),
            ),
            _row(
                ANLS,
                "best of 1 - distance / longer length over the answers, 0 from half the length on",
                "answers",
                _each(anls, "answers"),
            ),
            _row(
                ANLS_LMMS,
                "best of 1 - distance / longer length over the "
                "answers, white space collapsed, 0 beyond half the length",
                "answers",
                _each(anls_lmms, "answers"),
            ),
            _row(
                ANLS_STUDY,
                "the pruning study's ansl_em: anls/molmo alone, exact match plays no part",
                "answers",
                _each(anls, "answers"),
            ),
            _row(
                EXACT_MATCH,
                "the answer is one of the answers, case ignored",
                "answers",
                _each(exact_match, "answers"),
                binary=True,
            ),
            _row(
                EXACT_MATCH_STUDY,
                "the answer is one of the answers, case and outer white space ignored",
                "answers",
                _each(exact_match_study, "answers"),
                binary=True,
            ),
            _row(
                EXACT_MATCH_COUNTS,
                "as em/study, with number words as digits and a final period ignored",
                "answers",
                _each(exact_match_counts, "answers"),
                binary=True,
            ),
            _row(
                MULTIPLE_CHOICE,
                "the option equal to the answer, else the only one containing it, else the nearest by edit "
                "distance, is the right one",
                "options",
                _choices(multiple_choice),
                binary=True,
            ),
            _row(
                MULTIPLE_CHOICE_STUDY,
                "the option of the first letter standing alone in the answer is the right one; no such letter or "
                "option: as mc/molmo",
                "options",
                _choices(multiple_choice_study),
                binary=True,
            ),
            _row(
                CAPTION_MATCH,
                "the caption is one of its references, case and white space ignored",
                "references",
                _each(caption_match, "references"),
                binary=True,
            ),
            _row(
                CIDER,
                "CIDEr-D over the corpus (n = 4, sigma = 6) of PTB tokens, 0-10",
                "references",
                _cider,
                highest=10.0,
                find_tool=find_ptb_tokenizer,
            ),
            _row(
                CIDER_WORDS,
                "CIDEr-D over the corpus (n = 4, sigma = 6) of lower-case words between white space, 0-10",
                "references",
                _cider_words,
                highest=10.0,
            ),
        )
    )
)


def find_metric(id: str) -> Metric:
    """The metric of that id. Raises MeasurementError naming the ids there are."""
    if id not in METRICS:
        raise MeasurementError(f"no metric {id!r}; the metrics are {', '.join(METRICS)}")
    return METRICS[id]


def check_samples(metric: Metric, samples: Sequence[Sample]) -> None:
    """Refuse what cannot be scored: MeasurementError names the first sample that lacks what the metric needs,
    MissingToolError what to install."""
    if metric.find_tool is not None:
        metric.find_tool()
    for sample in samples:
        if not getattr(sample, metric.needs):
            raise MeasurementError(f"{metric.id} needs {metric.needs}, and {sample.label} has none")
        if metric.needs == "options":
            if sample.answer_index is None or not 0 <= sample.answer_index < len(sample.options):
                raise MeasurementError(
                    f"{metric.id}: {sample.label} has answer index "
                    f"{sample.answer_index} for {len(sample.options)} options"
                )
            if len({option.lower().strip() for option in sample.options}) != len(sample.options):
                raise MeasurementError(
                    f"{metric.id}: {sample.label} has two equal options among {list(sample.options)}"
                )
