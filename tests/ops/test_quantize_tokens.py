"""e4m3 with a scale per 128 numbers, against codes read from the format's definition in plain Python."""

import bisect
import math

import pytest
import torch

from baleen.ops import FP8, dequantize_tokens, quantize_tokens


def e4m3(code):
    """Value of a non-negative e4m3 code (OCP FP8, sec. 4): bias 7, three bits, 0x7F is NaN, no infinity."""
    exponent, fraction = code >> 3, code & 7
    return fraction * 2.0**-9 if exponent == 0 else (8 + fraction) * 2.0 ** (exponent - 10)


POSITIVE = [e4m3(code) for code in range(0x7F)]


def nearest_code(value):
    """Round to nearest, ties to the even code."""
    code = min(bisect.bisect_left(POSITIVE, abs(value)), 0x7E)
    if code:
        below, above = abs(value) - POSITIVE[code - 1], POSITIVE[code] - abs(value)
        code -= below < above or (below == above and code % 2 == 1)
    return code | (0x80 if math.copysign(1, value) < 0 else 0)


def tokens(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_formats_largest_number_and_smallest_step():
    assert POSITIVE[-1] == 448 and POSITIVE[1] == 2.0**-9


@pytest.mark.parametrize("power_of_two", [False, True])
def test_every_byte_equals_the_plain_twins(power_of_two):
    # six decades within a group: normal numbers, denormals, zeros of both signs
    x = tokens(4, 256) * 10 ** (tokens(4, 256, seed=1) * 2)
    x[0, :2] = torch.tensor([0.0, -0.0])
    values, scales = quantize_tokens(x, power_of_two=power_of_two)
    assert values.dtype == FP8 and scales.dtype == torch.float32 and scales.shape == (4, 2)
    codes, denormals = values.view(torch.uint8), 0
    for row in range(4):
        for group in range(2):
            numbers = x[row, 128 * group : 128 * (group + 1)]
            ratio = (numbers.abs().max() / torch.tensor(448.0)).item()
            scale = 2.0 ** math.ceil(math.log2(ratio)) if power_of_two else ratio
            assert scales[row, group].item() == scale
            scaled = (numbers / torch.tensor(scale)).tolist()  # float32, as stored
            expected = [nearest_code(value) for value in scaled]
            assert codes[row, 128 * group : 128 * (group + 1)].tolist() == expected
            denormals += sum(0 < code & 0x7F < 8 for code in expected)
    assert denormals > 50


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("dim", [1, 32, 128, 200, 512])
def test_the_error_is_bounded_for_every_size(power_of_two, dim):
    x = tokens(3, 5, dim) * 10 ** tokens(3, 5, 1, seed=1)
    values, scales = quantize_tokens(x, power_of_two=power_of_two)
    assert scales.shape == (3, 5, -(-dim // 128))
    tiny = dequantize_tokens(torch.full(x.shape, 2.0**-9).to(FP8), scales) / 2
    error = (dequantize_tokens(values, scales) - x).abs()
    # half a unit in the last of three bits, half a step of the denormals; a little for the float32 division
    assert (error <= torch.maximum(x.abs() * 2**-4, tiny) * 1.0001).all()
    largest = torch.stack([part.float().abs().amax(-1) for part in values.split(128, -1)], -1)
    assert (largest > 223).all() if power_of_two else (largest == 448).all()


def test_power_of_two_scales_fit_eight_bits_and_are_the_least_that_do_not_saturate():
    exponents = torch.arange(-20, 100)
    fits = 448 * 2.0**exponents
    x = torch.zeros(2, len(exponents), 128)
    x[0, :, 3], x[1, :, 3] = -fits, torch.nextafter(fits, torch.tensor(math.inf))
    values, scales = quantize_tokens(x, power_of_two=True)
    assert torch.equal(scales.squeeze(-1), torch.stack((2.0**exponents, 2.0 ** (exponents + 1))))
    assert values[0, :, 3].float().eq(-448).all() and values[1, :, 3].float().eq(224).all()
    assert torch.equal(scales.to(torch.float8_e8m0fnu).float(), scales)


@pytest.mark.parametrize("power_of_two", [False, True])
def test_nothing_saturates_to_nan(power_of_two):
    x = tokens(2000, 128) * 10 ** (tokens(2000, 1, seed=1) * 5)
    values, _ = quantize_tokens(x, power_of_two=power_of_two)
    assert values.float().isfinite().all()


@pytest.mark.parametrize(("power_of_two", "scale"), [(False, 1e-4 / 448), (True, 2.0**-22)])
def test_zeros_and_tiny_numbers_get_the_least_scale(power_of_two, scale):
    x = torch.zeros(3, 128)
    x[1] = 1e-42  # a denormal of float32
    x[2, 0] = 1e-5
    values, scales = quantize_tokens(x, power_of_two=power_of_two)
    assert scales.flatten().tolist() == pytest.approx([scale] * 3, rel=1e-6)
    assert not values[:2].float().any()
    assert dequantize_tokens(values, scales)[2, 0].item() == pytest.approx(1e-5, rel=2**-4)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_refused_with_its_place(bad):
    x = torch.ones(2, 3, 128)
    x[1, 2, 77] = bad
    with pytest.raises(ValueError, match=rf"cannot quantize {bad} at \[1, 2, 77\]"):
        quantize_tokens(x, power_of_two=True)


def test_a_token_is_quantized_alike_alone_and_in_a_batch():
    x = tokens(6, 512)
    values, scales = quantize_tokens(x, power_of_two=False)
    for row in range(6):
        alone_values, alone_scales = quantize_tokens(x[row], power_of_two=False)
        assert torch.equal(alone_values.view(torch.uint8), values[row].view(torch.uint8))
        assert torch.equal(alone_scales, scales[row])
