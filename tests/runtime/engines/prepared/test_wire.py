"""Protobuf's wire format: what is read is what was written, what is none is refused."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engines.prepared.wire import field, fields
from runtime.errors import VerificationError


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), st.binary(max_size=300))))
def test_fields_are_read_as_they_were_written(written: list[tuple[int, bytes]]) -> None:
    message = b"".join(field(number, value) for number, value in written)
    assert [(one.number, one.value) for one in fields(message)] == written
    assert b"".join(one.raw for one in fields(message)) == message


def test_all_kinds_of_fields_of_a_tensor_are_passed_over() -> None:
    tensor = onnx.TensorProto(dims=[3, 300], data_type=1, name="w", float_data=[1.0], double_data=[2.0])
    message = tensor.SerializeToString()
    assert b"".join(one.raw for one in fields(message)) == message
    assert [one.value for one in fields(message) if one.number == 8] == [b"w"]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"\x0a\x05abc", r"the field at byte 0 ends behind its message of 5 bytes"),
        (b"\x0a\xff", r"a number at byte 2 of a message has no end"),
        (b"\xff" * 12, r"a number at byte \d+ of a message has no end"),
        (b"\x0b", r"byte 0 of a message begins no field"),
    ],
)
def test_what_is_no_message_is_refused(message: bytes, why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        list(fields(message))
