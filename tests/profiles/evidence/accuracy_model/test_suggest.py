"""Which settings a family should have next."""

from profiles.evidence.accuracy_model.suggest import suggest
from profiles.reports.evidence.suggestion_table import show_suggestions
from runtime.accuracy.predictor import Predictor
from runtime.documents.accuracy.accuracy_model import Setting
from tests.support.accuracy_models import accuracy_model
from tests.support.elastic_families import family

MODEL = accuracy_model(40)


def cost_ms(setting: Setting) -> float:
    return len(setting.layers) + sum(setting.top_k) / 10


def test_new_settings_come_with_the_gain_that_is_expected_of_them_the_highest_first() -> None:
    manifest = family()
    found = suggest(manifest, Predictor(MODEL), cost_ms, budget_ms=None, most=4)
    gains = [one.gain for one in found]
    assert 0 < len(found) <= 4 and gains == sorted(gains, reverse=True) and min(gains) >= 0
    own = {(one.layers, one.top_k) for one in manifest.variants}
    assert all((one.setting.layers, one.setting.top_k) not in own for one in found)


def test_a_budget_leaves_out_what_is_slower() -> None:
    found = suggest(family(), Predictor(MODEL), cost_ms, budget_ms=9.0, most=50)
    assert found and all(one.ms <= 9.0 for one in found)


def test_the_table_fits_eighty_columns_and_says_how_to_export() -> None:
    manifest = family()
    text = show_suggestions(
        suggest(manifest, Predictor(MODEL), cost_ms, budget_ms=None, most=3), manifest.source, width=80
    )
    assert max(map(len, text.splitlines())) <= 80
    assert "trimoe export … --remove" in " ".join(text.split())
    assert show_suggestions([], manifest.source, width=80) == "nothing within the budget that the family has not\n"
