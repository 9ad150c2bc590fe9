"""Text from outside is one line that a terminal shows as it is."""

import pytest

from runtime.text.one_line import one_line, shorten_middle

TORCH = """[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory
Exception raised from alloc at ../c10/core/impl/alloc_cpu.cpp:119 (most recent call first):
frame #0: c10::Error::Error(c10::SourceLocation, std::string) + 0x80 (0x7f in libc10.so)
frame #1: <unknown function> + 0x5d24b (0x7f in libc10.so)"""
ONNX_RUNTIME = (
    "[ONNXRuntimeError] : 1 : FAIL : Load model from a/b.onnx failed:"
    "/onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:56 void onnxruntime::model_load_utils::Validate("
    "const std::unordered_map<std::string, int>&, bool, int (*)(int)) [with A = int] opset 99 is not supported\n"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing to do", "nothing to do"),
        ("ein Käse – 模型 ≤ 3", "ein Käse – 模型 ≤ 3"),
        ("two\nlines\r\n", "two\\nlines"),
        ("\x1b[2J\x07 \x9b31m", "\\x1b[2J\\x07 \\x9b31m"),
        ("line\u2028separator \u202egnp.exe", "line\\u2028separator \\u202egnp.exe"),
        ("bytes \udcff of a path", "bytes \\udcff of a path"),
        (TORCH, "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory"),
        (
            ONNX_RUNTIME,
            "[ONNXRuntimeError] : 1 : FAIL : Load model from a/b.onnx failed:opset 99 is not supported",
        ),
    ],
)
def test_a_text_is_one_line_without_control_characters_and_frames(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_a_long_path_of_ordinary_names_stays_whole() -> None:
    path = "/".join(["a" * 100] * 15)
    assert one_line(f"{path}: no such folder") == f"{path}: no such folder"


def test_a_long_name_is_shortened_in_the_middle_and_keeps_its_ends() -> None:
    shown = one_line(f"/data/first{'x' * 5000}last/config.json: broken")
    assert shown.startswith("/data/firstxxx")
    assert shown.endswith("xxxlast/config.json: broken")
    assert len(shown) == len("/data//config.json: broken") + 160


def test_a_text_of_many_names_is_shortened_too() -> None:
    assert len(one_line("name " * 10_000)) == 4000
    assert shorten_middle("0123456789", 5) == "01…89"
    assert shorten_middle("0123456789", 10) == "0123456789"
