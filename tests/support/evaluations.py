"""Evaluations of a made-up data set by an engine that answers from a table."""

from profiles.accuracy.evaluation.evaluate import EvalRequest
from profiles.datasets.dataset import Dataset, Settings
from profiles.sample import Sample
from runtime.documents.baseline import FamilyRecord
from tests.support.echo_engine import EchoEngine

SETTINGS = Settings(task="vqa", metric="em/molmo", cleanup="cleanup/molmo", prompt="Q {question}", max_new_tokens=8)


FAMILY = FamilyRecord(name="tiny", digest="a" * 64, source_digest="b" * 64)


def dataset(count: int = 50, name: str = "words") -> Dataset:
    samples = tuple(
        Sample(id=str(index), question="x" * (index * 7 % 23), answers=(f"a{index % 3}",)) for index in range(count)
    )
    return Dataset(name=name, samples=samples, settings=SETTINGS)


def reply(prompt: str) -> str:
    return f"a{len(prompt) % 3}"


def request(
    engine: EchoEngine,
    *,
    size: int = 8,
    datasets: tuple[Dataset, ...] | None = None,
    variants: tuple[str, ...] = ("b2",),
) -> EvalRequest:
    return EvalRequest(
        family=FAMILY,
        variants=variants,
        engines=(("torch", lambda variant: engine),),
        datasets=datasets or (dataset(),),
        batch_size=size,
    )
