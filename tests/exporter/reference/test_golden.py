"""Golden inputs and outputs: the same from run to run, small, and strict about what differs."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors.torch import save_file

from exporter.reference.equivalence import Outputs
from exporter.reference.golden import (
    LAST_POSITIONS,
    Golden,
    Machine,
    compare_golden,
    last_positions,
    make_golden,
    pick,
    read_golden,
    read_inputs,
    this_machine,
    write_golden,
    write_inputs,
)
from exporter.reference.golden_inputs import make_inputs
from runtime.documents.schema import fields_of
from runtime.errors import VerificationError
from tests.support.tiny_molmoe import tiny_molmoe_config

TEXT = make_inputs({"pad_token_id": 1}, vocabulary=40)


def outputs(*, vocabulary: int = 40, dtype: torch.dtype = torch.float32) -> Outputs:
    generator = torch.Generator().manual_seed(0)
    rows, length = TEXT["input_ids"].shape
    logits = torch.randn(rows, length, vocabulary, generator=generator).to(dtype)
    experts = torch.randint(0, 8, (rows * length, 2), generator=generator)
    return Outputs(logits=logits, experts=(experts, None, experts[:, :1]))


def test_text_inputs_are_two_rows_of_different_length_padded_on_the_right() -> None:
    assert TEXT["attention_mask"].tolist() == [[1] * 24, [1] * 13 + [0] * 11]
    assert set(TEXT["input_ids"][1, 13:].tolist()) == {1}
    assert 0 <= int(TEXT["input_ids"].min()) <= int(TEXT["input_ids"].max()) < 40


def test_inputs_are_the_same_each_time_and_others_for_another_seed() -> None:
    config = tiny_molmoe_config()
    first, second = make_inputs(config, vocabulary=120), make_inputs(config, vocabulary=120)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["images"], make_inputs(config, vocabulary=120, seed=3)["images"])


def test_image_inputs_follow_the_geometry_of_the_config() -> None:
    config = tiny_molmoe_config()
    inputs = make_inputs(config, vocabulary=120)
    assert inputs["images"].shape == (2, 2, 36, 48)
    assert inputs["image_masks"].shape == (2, 2, 36)
    assert inputs["image_input_idx"].shape == (2, 2, 9)
    assert set(inputs["image_masks"][0].unique().tolist()) == {0.0, 0.5, 1.0}
    assert inputs["image_input_idx"][0].flatten().tolist() == list(range(18))
    assert (inputs["images"][1] == -1).all() and (inputs["image_input_idx"][1] == -100).all()
    assert (inputs["input_ids"][0, :18] >= config["embedding_size"]).all()
    assert inputs["attention_mask"].sum(dim=1).tolist() == [42, 13]


def test_a_golden_file_is_read_as_it_was_written_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    golden = make_golden("b3-k1", outputs(), TEXT)
    paths = [tmp_path / name / write_golden(tmp_path / name, golden) for name in ("a", "b")]
    assert paths[0].relative_to(tmp_path / "a") == Path("golden/b3-k1.safetensors")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    found = read_golden(paths[0])
    assert (found.variant, found.machine) == (golden.variant, this_machine())
    assert torch.equal(found.logits, golden.logits) and torch.equal(found.tokens, golden.logits.argmax(-1))
    assert sorted(found.experts) == [0, 2]


def test_inputs_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert write_inputs(tmp_path, TEXT) == "golden/inputs.safetensors"
    assert {name: value.tolist() for name, value in read_inputs(tmp_path).items()} == {
        name: value.tolist() for name, value in TEXT.items()
    }


def test_only_the_last_positions_are_kept_of_a_large_vocabulary() -> None:
    golden = make_golden("b3", outputs(vocabulary=30_000), TEXT)
    assert golden.logits.shape == (2, LAST_POSITIONS, 30_000)
    assert golden.positions.tolist() == [[20, 21, 22, 23], [9, 10, 11, 12]]
    assert torch.equal(
        golden.logits, pick(outputs(vocabulary=30_000).logits, last_positions(TEXT["attention_mask"], 4))
    )


def test_bfloat16_logits_are_kept_as_float32_for_readers_without_torch(tmp_path: Path) -> None:
    path = tmp_path / write_golden(tmp_path, make_golden("b3", outputs(dtype=torch.bfloat16), TEXT))
    assert safetensors.numpy.load_file(path)["logits"].dtype == np.float32
    golden = read_golden(path)
    assert golden.dtype == "bfloat16"
    assert compare_golden(golden, outputs(dtype=torch.bfloat16), TEXT) == "bitwise equal to the golden outputs"
    with pytest.raises(VerificationError, match="variant b3: computes in float32, the golden file in bfloat16"):
        compare_golden(golden, outputs(), TEXT)


def test_equal_outputs_are_bitwise_equal() -> None:
    assert compare_golden(make_golden("b3", outputs(), TEXT), outputs(), TEXT) == "bitwise equal to the golden outputs"


def changed(golden: Golden, **changes: object) -> Golden:
    return replace(golden, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda g: changed(g, logits=g.logits + 0.5),
            r"variant b3: logits differ from golden/b3.safetensors, max \|Δ\| 0.5",
            id="logits",
        ),
        pytest.param(
            lambda g: changed(g, tokens=g.tokens + 1),
            "the golden tokens are not those of the golden logits",
            id="tokens",
        ),
        pytest.param(
            lambda g: changed(g, experts={**g.experts, 2: g.experts[2] + 1}),
            "layer 2 chooses other experts",
            id="experts",
        ),
        pytest.param(
            lambda g: changed(g, experts={0: g.experts[0]}), r"experts at layers \[0, 2\], golden at \[0\]", id="layers"
        ),
        pytest.param(
            lambda g: changed(g, logits=g.logits[:, 1:], positions=g.positions[:, 1:]),
            "the golden file has logits",
            id="positions",
        ),
    ],
)
def test_a_difference_on_the_same_machine_is_named(change: "type", said: str) -> None:
    with pytest.raises(VerificationError, match=said):
        compare_golden(change(make_golden("b3", outputs(), TEXT)), outputs(), TEXT)


def test_another_machine_may_differ_within_the_tolerance_that_is_stated() -> None:
    golden = make_golden("b3", outputs(), TEXT)
    elsewhere = replace(
        golden,
        machine=msgspec.structs.replace(this_machine(), threads=1000, cpu="another"),
        logits=golden.logits + 1e-5,
    )
    said = compare_golden(elsewhere, outputs(), TEXT)
    assert said.startswith("max |Δ| 1e-05 ≤ 0.000") and said.endswith("(other cpu, threads than recorded)")
    with pytest.raises(VerificationError, match=r"variant b3: max \|Δ\| of the logits 0.5, allowed 0.000"):
        compare_golden(replace(elsewhere, logits=golden.logits + 0.5), outputs(), TEXT)
    with pytest.raises(VerificationError, match="allowed"):
        compare_golden(replace(elsewhere, logits=golden.logits * torch.nan), outputs(), TEXT)


def test_this_machine_says_what_decides_the_last_bits() -> None:
    machine = this_machine()
    assert isinstance(machine, Machine)
    assert (
        machine.torch == torch.__version__
        and machine.threads == torch.get_num_threads()
        and machine.cpu
        and machine.instructions
    )


@pytest.mark.parametrize(
    ("write", "said"),
    [
        pytest.param(lambda path: path.write_bytes(b"nothing"), "cannot be read", id="no safetensors"),
        pytest.param(
            lambda path: save_file({"logits": torch.zeros(1)}, path), "its metadata has no 'trimoe'", id="no metadata"
        ),
        pytest.param(
            lambda path: save_file({"logits": torch.zeros(1)}, path, {"trimoe": "{"}),
            "metadata: line 1",
            id="bad metadata",
        ),
        pytest.param(
            lambda path: save_file(
                {"logits": torch.zeros(1)}, path, {"trimoe": '{"format": "trimoe.golden", "version": 9}'}
            ),
            "reads version 1, the file has 9",
            id="version",
        ),
        pytest.param(lambda path: None, "cannot be read", id="missing"),
    ],
)
def test_a_file_that_is_no_golden_file_is_refused_by_name(write: "type", said: str, tmp_path: Path) -> None:
    path = tmp_path / "b3.safetensors"
    write(path)
    with pytest.raises(VerificationError, match=said) as caught:
        read_golden(path)
    assert "b3.safetensors" in str(caught.value)


def test_a_golden_file_without_a_tensor_is_refused(tmp_path: Path) -> None:
    golden = make_golden("b3", outputs(), TEXT)
    write_golden(tmp_path, golden)
    path = tmp_path / "golden" / "b3.safetensors"
    machine = fields_of(golden.machine)
    header = {"format": "trimoe.golden", "version": 1, "variant": "b3", "dtype": "float32", "machine": machine}
    save_file({"logits": golden.logits}, path, {"trimoe": json.dumps(header)})
    with pytest.raises(VerificationError, match="not a golden file: 'positions'"):
        read_golden(path)
