"""Rounding to bfloat16, against torch."""

import numpy as np
import torch

from runtime.engines.bfloat16 import from_bits, to_bits


def test_rounding_is_torchs() -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal(100_000).astype(np.float32) * np.exp(20 * random.standard_normal(100_000)).astype(
        np.float32
    )
    values[:7] = [0.0, -0.0, np.inf, -np.inf, 3.4e38, 1.00390625, 1.01171875]  # the last two lie half-way
    expected = torch.from_numpy(values).bfloat16()
    assert np.array_equal(to_bits(values), expected.view(torch.uint16).numpy())
    assert np.array_equal(from_bits(to_bits(values)), expected.float().numpy())


def test_what_is_no_number_stays_none() -> None:
    assert np.isnan(from_bits(to_bits(np.asarray([np.nan], np.float32)))).all()
