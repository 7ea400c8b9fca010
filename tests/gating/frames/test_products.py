"""Products in parts are those of whole matrices."""

import numpy as np
import pytest

from noisegate_cli.gating.frames import products
from noisegate_cli.gating.frames.products import multiply, multiply_transposed, split_rows


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 100])
def test_parts_contain_each_row_once_and_in_order(monkeypatch, rows):
    monkeypatch.setattr(products, "MAX_PRODUCT", 80)
    parts = [np.arange(rows)[part] for part in split_rows(rows, multiplications=10)]
    assert all(0 < len(part) <= 8 for part in parts)
    np.testing.assert_array_equal(np.concatenate([[], *parts]), np.arange(rows))


@pytest.mark.parametrize("max_product", [1, 50, 1 << 18])
def test_products_in_parts_equal_the_products_of_whole_matrices(monkeypatch, max_product):
    monkeypatch.setattr(products, "MAX_PRODUCT", max_product)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(33, 5)), rng.normal(size=(5, 4))
    out = np.empty((4, 33)).T
    np.testing.assert_allclose(multiply(a, b), a @ b, rtol=1e-12)
    assert multiply(a, b, out) is out
    np.testing.assert_allclose(out, a @ b, rtol=1e-12)
    np.testing.assert_allclose(multiply_transposed(a), a.T @ a, rtol=1e-12, atol=1e-12)


def test_products_keep_the_type_and_accept_no_rows():
    empty = np.zeros((0, 3), np.float32)
    assert multiply(empty, np.eye(3, dtype=np.float32)).dtype == np.float32
    np.testing.assert_array_equal(multiply_transposed(empty), np.zeros((3, 3)))
