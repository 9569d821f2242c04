"""The bytes of cached tokens against single tokens written with `struct`."""

import struct

import pytest
import torch

from baleen.config import ModelConfig
from baleen.cost.memory import index_cache_bytes, latent_cache_bytes
from baleen.ops import (
    index_key_bytes,
    latent_bytes,
    pack_index_keys,
    pack_index_pages,
    pack_latents,
    quantize_tokens,
    unpack_index_keys,
    unpack_index_pages,
    unpack_latents,
)


def tokens(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_bytes(*shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def e4m3_bytes(values):
    """Codes by search among the 256 values of the format, as bytes."""
    table = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).double().tolist()
    signed = {(value, str(value)[0] == "-"): code for code, value in enumerate(table)}
    return bytes(signed[value, str(value)[0] == "-"] for value in values.double().tolist())


def bfloat16_bytes(numbers):
    """A bfloat16 is the upper half of a float32, little endian."""
    return b"".join(struct.pack("<f", number)[2:] for number in numbers.double().tolist())


def test_a_token_of_mla_has_656_bytes_in_this_order():
    values, scales = quantize_tokens(tokens(2, 3, 512), power_of_two=False)
    k_rope = tokens(2, 3, 64, seed=1).bfloat16()
    packed = pack_latents(values, scales, k_rope)
    assert packed.shape == (2, 3, 656) and packed.dtype == torch.uint8
    for batch in range(2):
        for token in range(3):
            expected = e4m3_bytes(values[batch, token])
            expected += struct.pack("<4f", *scales[batch, token].tolist())
            expected += bfloat16_bytes(k_rope[batch, token])
            assert bytes(packed[batch, token].tolist()) == expected


def test_an_index_key_has_132_bytes_and_a_page_holds_all_values_before_all_scales():
    values, scales = quantize_tokens(tokens(2, 64, 128), power_of_two=True)
    keys, pages = pack_index_keys(values, scales), pack_index_pages(values, scales)
    assert keys.shape == (2, 64, 132) and pages.shape == (2, 64 * 132)
    for page in range(2):
        parts = [
            (e4m3_bytes(v), struct.pack("<f", s)) for v, s in zip(values[page], scales[page], strict=True)
        ]
        assert [bytes(key.tolist()) for key in keys[page]] == [v + s for v, s in parts]
        in_page = b"".join(v for v, _ in parts) + b"".join(s for _, s in parts)
        assert bytes(pages[page].tolist()) == in_page


@pytest.mark.parametrize(("latent", "rope", "index"), [(512, 64, 128), (32, 16, 32), (200, 8, 64)])
def test_any_bytes_come_back_as_they_were(latent, rope, index):
    # random bytes: NaN codes and signalling scales too, which a cast would change and a view does not
    packed = random_bytes(5, 7, latent_bytes(latent, rope))
    assert torch.equal(pack_latents(*unpack_latents(packed, latent, rope)), packed)
    keys = random_bytes(5, 7, index_key_bytes(index))
    assert torch.equal(pack_index_keys(*unpack_index_keys(keys, index)), keys)
    pages = random_bytes(5, 64 * index_key_bytes(index))
    assert torch.equal(pack_index_pages(*unpack_index_pages(pages, 64, index)), pages)


def test_numbers_come_back_as_they_were():
    values, scales = quantize_tokens(tokens(4, 64, 128), power_of_two=True)
    for restored, shape in (
        (unpack_index_keys(pack_index_keys(values, scales), 128), (4, 64)),
        (unpack_index_pages(pack_index_pages(values, scales), 64, 128), (4, 64)),
    ):
        assert restored[0].shape == (*shape, 128) and restored[1].shape == (*shape, 1)
        assert torch.equal(restored[0].float(), values.float()) and torch.equal(restored[1], scales)


@pytest.mark.parametrize("preset", ["tiny", "v3.2"])
def test_the_bytes_are_those_that_the_plan_counts(preset):
    config = ModelConfig.preset(preset)
    layers = config.num_hidden_layers
    token = latent_bytes(config.kv_lora_rank, config.qk_rope_head_dim)
    assert layers * token == latent_cache_bytes(config, fp8=True)
    assert layers * index_key_bytes(config.index_head_dim) == index_cache_bytes(config, fp8=True)


def test_a_wrong_width_or_type_is_refused():
    with pytest.raises(ValueError, match=r"132 numbers of torch.uint8, the layout 656 bytes"):
        unpack_latents(random_bytes(2, 132), 512, 64)
    with pytest.raises(ValueError, match=r"132 numbers of torch.int8, the layout 132 bytes"):
        unpack_index_keys(random_bytes(2, 132).view(torch.int8), 128)
    with pytest.raises(ValueError, match="check page_size"):
        unpack_index_pages(random_bytes(2, 64 * 132), 32, 128)
    with pytest.raises(ValueError, match="stores torch.float8_e4m3fn here, got torch.float32"):
        pack_index_keys(tokens(2, 128), torch.ones(2, 1))
