"""Both real engines under the scheduler: answers are those of each request alone."""

import random
from pathlib import Path

import numpy as np
import pytest

from exporter.graphs.graph_form import GraphExport
from runtime.documents.manifest import read_manifest
from runtime.engines.greedy import generate
from runtime.engines.open import open_engine
from runtime.engines.protocol import Prompt
from runtime.engines.settings import EngineSettings
from runtime.serving.batching.limits import Limits
from runtime.serving.batching.scheduler import Scheduler
from runtime.serving.pool import Pool
from runtime.serving.request import Sampling
from runtime.serving.variant_sizes import variant_sizes
from tests.support.families import export_verified, plan_family
from tests.support.listeners import Heard
from tests.support.tiny_molmoe import write_tiny_molmoe
from tests.support.toy_language import LetterReader

NEW_TOKENS = 6
pytestmark = pytest.mark.usefixtures("one_thread")


class NumbersReader(LetterReader):
    """The text of a token is its number."""

    def text_stream(self) -> "NumbersReader":  # type: ignore[override]
        return self

    def push(self, token: int) -> str:
        return f"{token} "

    def end(self) -> str:
        return ""


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Variants b4-k4, b4-k1, b3-k4 and b3-k1, with graphs and golden outputs."""
    folder = tmp_path_factory.mktemp("batching")
    plan = plan_family(
        write_tiny_molmoe(folder / "source", n_layers=4, n_heads=2),
        removals=((), (2,)),
        top_ks=(4, 1),
        graphs=("float32",),
    )
    export_verified(plan, folder / "family", graphs=GraphExport(plan))
    return folder / "family"


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_requests_of_all_variants_get_the_answers_that_each_gets_alone(name: str, family: Path) -> None:
    manifest, rng = read_manifest(family), random.Random(2)
    engine = open_engine(name, family, manifest, EngineSettings(threads=1, device="cpu"))
    sizes = variant_sizes(family, manifest, engine=name, dtype="float32")
    asked = [
        Prompt(
            variant=rng.choice(manifest.variants).id,
            arrays={"input_ids": np.asarray(rng.choices(range(3, 60), k=rng.choice((3, 8, 20))), np.int64)},
        )
        for _ in range(12)
    ]
    pool, heard = Pool(engine, sizes), [Heard() for _ in asked]
    limits = Limits(max_rows=5, chunk_tokens=8, cache_bytes=10**6)
    scheduler = Scheduler(engine, NumbersReader(), limits=limits, variants=pool)
    for one, listener in zip(asked, heard, strict=True):
        scheduler.submit(one, Sampling(max_tokens=NEW_TOKENS), listener)
    scheduler.close(drain=True)
    for one, listener in zip(asked, heard, strict=True):
        alone = generate(engine, [one], max_new_tokens=NEW_TOKENS, ends=NumbersReader.ends)[0]
        finish = listener.answer()
        assert list(finish.tokens) == alone
        assert finish.timing.stages["prefill"] > 0 and finish.timing.total_ms >= finish.timing.first_token_ms
    assert pool.state.used == () and set(pool.state.resident) == {one.variant for one in asked}
    engine.close()
