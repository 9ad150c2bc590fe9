"""AnswerSettings of an evaluation that never was, for tests of the files that begin with them."""

from profiles.accuracy.evaluation.journal import AnswerSettings
from runtime.documents.baseline import DatasetRecord, DecodingRecord, DefinitionRecord, FamilyRecord

ANSWER_SETTINGS = AnswerSettings(
    family=FamilyRecord(name="demo", digest="a" * 64, source_digest="b" * 64),
    variant="b14-k4",
    engine="torch",
    dtype="float32",
    dataset=DatasetRecord(name="okvqa", task="vqa", samples=2, digest="c" * 64),
    definition=DefinitionRecord(metric="vqa_score/molmo", meaning="min(matches / 3, 1)", cleanup="cleanup/molmo"),
    decoding=DecodingRecord(prompt="{question}", strategy="greedy", max_new_tokens=12, batch_size=32),
    software={"echo": "1"},
)
