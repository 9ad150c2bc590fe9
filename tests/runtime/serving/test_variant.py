"""One variant alone, from its family and from a copy of its own, by both engines: checked before it is returned."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.family.standalone import copy_variant
from exporter.graphs.graph_form import GraphExport
from runtime.documents.manifest import read_manifest
from runtime.errors import DocumentError, VerificationError
from runtime.serving.family import Family
from runtime.serving.family_settings import FamilySettings
from runtime.serving.request import Request, Sampling
from runtime.serving.variant import Variant
from runtime.text.progress import NoProgress
from tests.support.families import export_verified, plan_family
from tests.support.graph_families import write_graph_model
from tests.support.tiny_tokenizer import tiny_tokenizer

ID, ASKED = "b3-k4", Request(text="How many", sampling=Sampling(max_tokens=6))
ONE_THREAD = FamilySettings(threads=1)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Variants b4-k4 and b3-k4, with graphs and golden outputs."""
    folder = tmp_path_factory.mktemp("alone")
    write_graph_model(folder / "source", "olmoe")
    tiny_tokenizer().save_pretrained(folder / "source")
    plan = plan_family(folder / "source", removals=((), (2,)), top_ks=(4,), graphs=("float32",))
    export_verified(plan, folder / "family", graphs=GraphExport(plan))
    return folder / "family"


@pytest.fixture
def copy(family: Path, tmp_path: Path) -> Path:
    copy_variant(family, read_manifest(family), ID, tmp_path / "copy", precisions=("float32",), progress=NoProgress())
    return tmp_path / "copy"


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_copy_answers_as_its_family_does_in_every_way(engine: str, family: Path, copy: Path) -> None:
    with Variant.load(family, ID, engine=engine, device="cpu", settings=ONE_THREAD) as inside:
        expected = inside.generate(ASKED)
        assert (inside.id, inside.dtype, expected.variant) == (ID, "float32", ID)
    with Variant.load(copy, engine=engine, device="cpu", settings=ONE_THREAD) as alone:
        assert (alone.id, alone.dtype) == (ID, "float32")
        assert alone.generate(ASKED).tokens == expected.tokens
        with alone.stream(ASKED) as stream:
            assert "".join(piece.text for piece in stream) == expected.text
        assert asyncio.run(alone.generate_async(ASKED)).text == expected.text
        assert alone.chat_text([{"role": "user", "content": "How many"}])


@pytest.mark.parametrize(
    ("engine", "file"),
    [
        ("onnx", f"onnx/float32/{ID}.onnx"),
        ("onnx", "onnx/float32/weights.float32.bin"),
        ("onnx", f"trimoe/golden/onnx-float32-cpu/{ID}.safetensors"),
        ("torch", "model-00001-of-00004.safetensors"),
        ("torch", f"trimoe/golden/{ID}.safetensors"),
    ],
)
def test_a_damaged_copy_is_refused_naming_the_file(engine: str, file: str, copy: Path) -> None:
    data = bytearray((copy / file).read_bytes())
    data[-3] ^= 1
    (copy / file).write_bytes(data)
    with pytest.raises(VerificationError, match=rf"^{copy / file}: its sha256 is "):
        Variant.load(copy, engine=engine, device="cpu", settings=ONE_THREAD)


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_copy_repeats_its_golden_outputs(engine: str, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object, **options: object) -> None:
        raise VerificationError("tested")

    monkeypatch.setattr(f"runtime.engines.{engine}.engine.self_test", refused)
    with pytest.raises(VerificationError, match="tested"):
        Variant.load(copy, engine=engine, device="cpu", settings=ONE_THREAD)


def test_prompts_that_begin_alike_are_read_once_and_answered_the_same(family: Path) -> None:
    asked = replace(ASKED, text="How many " * 12)
    with Variant.load(family, ID, settings=ONE_THREAD) as plain:
        expected = [plain.generate(asked) for _ in range(2)]
    with Variant.load(family, ID, settings=replace(ONE_THREAD, prefix_bytes=1 << 20)) as keeping:
        found = [keeping.generate(asked) for _ in range(2)]
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    assert [one.reused_tokens for one in expected + found] == [0, 0, 0, found[0].prompt_tokens - 1]


def test_what_has_to_be_chosen_is_said(family: Path, copy: Path) -> None:
    with pytest.raises(DocumentError, match=rf"^{family}: has b4-k4, b3-k4; say which with variant="):
        Variant.load(family)
    with pytest.raises(DocumentError, match="no variant 'b9' in this family; it has b3-k4"):
        Variant.load(copy, "b9")
    with pytest.raises(DocumentError, match="no ONNX graphs in int8; the family has float32"):
        Variant.load(copy, dtype="int8")


def test_a_family_of_a_copy_serves_its_one_variant(copy: Path) -> None:
    with Family.load(copy, settings=ONE_THREAD) as found:
        assert [one.id for one in found.manifest.variants] == [ID]
        assert found.generate(ASKED).variant == ID and found.state.loaded_bytes > 0
