"""AnswerSettings of an evaluation that never was, for tests of the files that begin with them."""

from profiles.accuracy.evaluation.journal import AnswerSettings
from tests.support.documents import BASELINE, SCORE

ANSWER_SETTINGS = AnswerSettings(
    family=BASELINE.family,
    variant=SCORE.variant,
    engine=SCORE.engine,
    dtype=SCORE.dtype,
    dataset=SCORE.dataset,
    definition=SCORE.definition,
    decoding=SCORE.decoding,
    software={"echo": "1"},
)
