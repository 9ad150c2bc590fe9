"""The benchmark's arithmetic; its timings are its own business."""

from profiles.benchmarks.onnx.targets import memory_figures, speed_figures
from profiles.benchmarks.onnx.timing import Timing


def rounds(*times: tuple[float, float]) -> list[Timing]:
    return [Timing(prefill_ms=prefill, decode_ms=decode, read_s=0.1) for prefill, decode in times]


TIMINGS = {
    ("float32", 8): rounds((400.0, 10.0), (800.0, 20.0), (400.0, 10.0)),
    ("float32", 2): rounds((200.0, 4.0), (400.0, 8.0), (200.0, 5.0)),
    ("int8", 8): rounds((250.0, 4.0), (500.0, 8.0), (200.0, 5.0)),
    ("int8", 2): rounds((100.0, 2.0), (200.0, 4.0), (100.0, 2.0)),
    ("int4", 8): rounds((400.0, 5.0), (800.0, 10.0), (400.0, 5.0)),
    ("int4", 2): rounds((100.0, 1.0), (200.0, 2.0), (100.0, 1.0)),
    ("transformers eager", 8): rounds((500.0, 30.0), (500.0, 30.0), (500.0, 30.0)),
    ("transformers grouped_mm", 8): rounds((380.0, 20.0), (760.0, 40.0), (380.0, 20.0)),
    ("transformers eager", 2): rounds((300.0, 10.0), (600.0, 20.0), (300.0, 10.0)),
    ("transformers grouped_mm", 2): rounds((290.0, 12.0), (580.0, 24.0), (290.0, 12.0)),
    ("llama.cpp Q8_0", 8): rounds((500.0, 4.0), (900.0, 9.0), (300.0, 4.0)),
}


def test_ratios_are_taken_in_each_round_over_the_quickest_of_the_other() -> None:
    figures = {figure.name: (figure.value, figure.met) for figure in speed_figures(TIMINGS)}
    assert figures["decode, int8 over float32, k 8"] == ("2.50", True)
    assert figures["decode, int4 over float32, k 8"] == ("2.00", False)
    assert figures["prefill, int8 over float32, k 8"] == ("1.60", True)
    assert figures["decode, float32 over transformers, k 8"] == ("2.00", False)
    assert figures["prefill, float32 over transformers, k 8"] == ("0.95", False)
    assert figures["prefill, float32 over transformers, k 2"] == ("1.45", True)
    assert figures["prefill, int8 over llama.cpp Q8_0, k 8"] == ("1.80", True)
    assert figures["decode, int8 over llama.cpp Q8_0, k 8"] == ("1.00", True)


def test_what_is_not_installed_is_shown_as_not_run() -> None:
    figures = {figure.name: (figure.value, figure.met) for figure in speed_figures(TIMINGS)}
    assert figures["decode, float32 over mobius-onnx, k 8"] == ("not run", None)
    assert figures["decode, int4 over llama.cpp Q4_0, k 2"] == ("not run", None)


def test_memory_is_compared_with_the_file_of_the_same_kind() -> None:
    peaks = {"float32": 100, "int8": 30, "int4": 20, "llama.cpp F32": 100, "llama.cpp Q8_0": 20}
    figures = {figure.name: (figure.value, figure.met) for figure in memory_figures(peaks)}
    assert figures == {
        "peak memory, float32 over llama.cpp F32": ("1.000", True),
        "peak memory, int8 over llama.cpp Q8_0": ("1.500", False),
        "peak memory, int4 over llama.cpp Q4_0": ("not run", None),
    }
