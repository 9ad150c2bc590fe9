"""Variants of a family's blocks that were never exported."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.accuracy.predictor import Predictor
from runtime.documents.accuracy.accuracy_model import dump_accuracy_model
from runtime.errors import DocumentError, RequestError
from runtime.latency.estimator import Estimator
from runtime.selection.candidate import Candidate
from runtime.selection.choose import choose
from runtime.selection.demand import Demand
from runtime.serving.elastic import (
    Elastic,
    ElasticVariants,
    ServedVariants,
    allowed_settings,
    elastic_id,
    elastic_variants,
    read_predictor,
)
from runtime.serving.forecasting.accuracies import Accuracies
from tests.support.accuracy_models import BLOCKS, TOP_K, accuracy_model, removing
from tests.support.elastic_families import family
from tests.support.latency_documents import ESTIMATOR

MODEL = accuracy_model(40)


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator(ESTIMATOR)


def test_what_is_found_is_made_of_the_familys_blocks_and_numbers_of_experts(estimator: Estimator) -> None:
    manifest, predictor = family(), Predictor(MODEL)
    found = elastic_variants(manifest, predictor, estimator, most=6)
    exported = {(one.layers, one.top_k) for one in manifest.variants}
    allowed = allowed_settings(manifest, predictor)
    assert found and not exported & {(one.layers, one.top_k) for one in found}
    for one in found:
        assert one.layers[0] == 0 and one.top_k[0] == TOP_K and len(one.removed) <= 3
        assert all(k in allowed.top_k[block] for block, k in zip(one.layers, one.top_k, strict=True))


def test_ids_are_those_that_an_export_would_give() -> None:
    assert elastic_id(removing((4,)), blocks=BLOCKS, top_k=TOP_K) == "b7-k8-r4"
    mixed = removing((4,), (8, 4, 4, 8, 8, 8, 8, 8))
    assert elastic_id(mixed, blocks=BLOCKS, top_k=TOP_K).startswith("b7-kmix-r4-")


def test_their_accuracies_are_marked_as_estimated_and_their_variants_can_be_ruled_out(
    tmp_path: Path, estimator: Estimator
) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(dump_accuracy_model(MODEL))
    served = ServedVariants(exported=family(), elastic=ElasticVariants(family(), Elastic(model=path), estimator))
    known = Accuracies(family(), None, engine="onnx", estimated=served.accuracies)
    new = served.manifest.variants[3:]
    found = known.of(new[0].id, "float32", "read")
    assert found is not None and found.estimated and not found.measured and found.low < found.score
    assert not known.exported(new[0].id) and known.exported("b8-k8")


def test_a_request_may_want_exported_variants_only() -> None:
    slow, quick = (
        Candidate(variant=name, dtype="float32", accuracy=None, predicted_ms=ms, upper_ms=ms, bytes=1, elastic=elastic)
        for name, ms, elastic in (("b8-k8", 20.0, False), ("b7-k8-r4", 10.0, True))
    )
    assert choose([slow, quick], Demand(budget_ms=30)).candidate is quick
    choice = choose([slow, quick], Demand(budget_ms=30, elastic=False))
    assert choice.candidate is slow and choice.reasons[0].kind == "not_exported"


def test_an_accuracy_model_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(dump_accuracy_model(replace(MODEL, source_digest="6" * 64)))
    with pytest.raises(DocumentError, match="the accuracy model is of the checkpoint 666666666666, the family"):
        read_predictor(path, family())


def test_an_engine_that_runs_only_what_was_exported_is_refused(tmp_path: Path, estimator: Estimator) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(dump_accuracy_model(MODEL))
    served = ServedVariants(exported=family(), elastic=ElasticVariants(family(), Elastic(model=path), estimator))
    with pytest.raises(DocumentError, match="elastic variants are made of graphs of blocks"):
        served.compose(object())
    with pytest.raises(RequestError, match="at most 0 elastic variants"):
        Elastic(model=path, most=0)
