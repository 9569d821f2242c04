"""The Hadamard rotation against signs from bit counts and the fast transform's passes."""

import pytest
import torch

from baleen.ops import hadamard_matrix, hadamard_rotate


def butterflies(x):
    """The fast Walsh-Hadamard transform: log2(D) passes of sums and differences."""
    half = 1
    while half < x.shape[-1]:
        first, second = x.unflatten(-1, (-1, 2, half)).unbind(-2)
        x = torch.stack((first + second, first - second), -2).flatten(-3)
        half *= 2
    return x


def numbers(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dim", [1, 2, 8, 128])
def test_the_matrix_is_sylvesters(dim):
    signs = [[(-1.0) ** (i & j).bit_count() for j in range(dim)] for i in range(dim)]
    assert hadamard_matrix(dim).tolist() == signs


@pytest.mark.parametrize("dim", [1, 2, 32, 128])
def test_the_rotation_is_the_fast_transform_and_its_own_inverse(dim):
    x = numbers(3, 5, dim)
    assert torch.allclose(hadamard_rotate(x), butterflies(x) * dim**-0.5, atol=1e-13)
    assert torch.allclose(hadamard_rotate(hadamard_rotate(x)), x, atol=1e-13)


def test_no_dot_product_changes():
    q, k = numbers(7, 128), numbers(50, 128, seed=1)
    assert torch.allclose(hadamard_rotate(q) @ hadamard_rotate(k).T, q @ k.T, atol=1e-12)
    # ... and would if one side were left out
    assert (q @ hadamard_rotate(k).T - q @ k.T).abs().mean() > 1


def test_one_large_number_is_spread_over_all():
    spike = torch.zeros(128)
    spike[5] = 16.0
    assert torch.equal(hadamard_rotate(spike).abs(), torch.full((128,), 16.0) * 128**-0.5)


def test_bfloat16_is_summed_in_float32():
    x = numbers(64, 128, dtype=torch.float32).bfloat16()
    assert torch.equal(hadamard_rotate(x), hadamard_rotate(x.float()).bfloat16())


@pytest.mark.parametrize("dim", [0, 3, 96])
def test_other_sizes_are_refused(dim):
    with pytest.raises(ValueError, match=f"power of two, got {dim} dimensions"):
        hadamard_rotate(torch.zeros(2, dim))
