"""Options of `trimoe bench` that belong together: the pruning study's grid on the accelerators that it was made for."""

from collections.abc import Mapping

# Every variant of the family, one prompt at a time, images of none, one, four and the most crops; with 20 variants
# 240 cells, each a fraction of a second. The minutes leave time to load variants, so that all is done in 30.
_STUDY: Mapping[str, object] = {
    "device": "cuda:0",
    "grid": "batch=1 text=16,64,256",
    "budget_minutes": 26.0,
    "relative_error": 0.02,
    "repeats": 12,
}
PRESETS: Mapping[str, Mapping[str, object]] = {"h100": _STUDY, "a100": _STUDY}
