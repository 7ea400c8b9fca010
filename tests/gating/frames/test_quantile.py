import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from noisegate_cli.gating.frames.quantile import median, quantile

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=9)
NUMBERS = SHAPES.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=st.floats(-1e6, 1e6)))


@given(NUMBERS, st.floats(0, 1), st.data())
def test_a_quantile_equals_numpys(values, share, data):
    axis = data.draw(st.integers(0, values.ndim - 1))
    expected = np.quantile(values, share, axis=axis)
    assert quantile(values, share, axis) == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert median(values, axis) == pytest.approx(np.median(values, axis=axis), abs=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_several_quantiles_are_returned_in_the_type_of_the_values(axis):
    values = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    result = quantile(values, [0.0, 0.1, 1.0], axis)
    assert result.dtype == np.float32
    assert result == pytest.approx(np.quantile(values, [0.0, 0.1, 1.0], axis=axis), abs=1e-6)
