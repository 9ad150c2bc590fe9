"""The accuracy model that ships with the demo."""

from exporter.checkpoint.checkpoint import open_checkpoint, source_digest
from profiles.datasets.digits.dataset import DEMO_TASKS
from runtime.accuracy.predictor import Predictor
from runtime.documents.accuracy.accuracy_model import read_accuracy_model
from tests.support.paths import DEMO


def test_it_is_of_the_demos_checkpoint_and_says_its_errors_on_settings_measured_later() -> None:
    model = read_accuracy_model(DEMO / "accuracy-model.json")
    assert model.source_digest == source_digest(open_checkpoint(DEMO / "checkpoint"))
    assert {task.task for task in model.tasks} == set(DEMO_TASKS) and len(model.settings) == 60
    for task in model.tasks:
        (later,) = (one for one in task.held_out if one.by == "measured later")
        assert later.settings == 100 and later.mean_error < 0.03


def test_it_predicts_the_whole_model_nearly_as_it_was_measured() -> None:
    predictor = Predictor(read_accuracy_model(DEMO / "accuracy-model.json"))
    for task in predictor.tasks:
        (whole,) = predictor.predict(predictor.model.settings[:1], task)
        assert whole.low <= whole.score <= whole.high and whole.score > 0.85
