"""FP8 weights: the arithmetic against plain twins, and checkpoints that hold them."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from baleen.config import ModelConfig, UserError
from baleen.model import Transformer, load_model, save_model
from baleen.model.conversion import Plan, convert
from baleen.model.fp8 import FP8Linear, FP8Stack
from baleen.ops import FP8, dequantize, quantize, scale_shape

SHAPES = [(128, 128), (1, 1), (129, 127), (576, 200), (64, 300)]


def weight(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.05


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale_dtype", [torch.float32, torch.float8_e8m0fnu])
def test_each_number_is_multiplied_by_the_scale_of_its_block(shape, scale_dtype):
    values = weight(shape).mul(100).to(FP8)
    exponents = torch.arange(scale_shape(shape)[0] * scale_shape(shape)[1]).view(scale_shape(shape)) - 3
    scales = (2.0**exponents).to(scale_dtype)
    rows, columns = torch.arange(shape[0]) // 128, torch.arange(shape[1]) // 128
    expected = values.float() * 2.0 ** exponents[rows[:, None], columns[None]]
    assert torch.equal(dequantize(values, scales), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_error_of_quantization_is_bounded(shape):
    original = weight(shape)
    values, scales = quantize(original)
    assert values.shape == shape and scales.shape == scale_shape(shape) and scales.dtype == torch.float32
    restored = dequantize(values, scales)
    tiny = dequantize(torch.full(shape, 2.0**-9).to(FP8), scales) / 2
    # half a unit in the last of three bits, half a step of the denormals; a little for the float32 division
    assert ((restored - original).abs() <= torch.maximum(original.abs() * 2**-4, tiny) * 1.0001).all()
    assert values.float().abs().max() == 448


def test_a_block_of_zeros_stays_zero_and_does_not_disturb_its_neighbors():
    original = weight((256, 256))
    original[:128, 128:] = 0
    restored = dequantize(*quantize(original))
    assert not restored[:128, 128:].any() and restored.isfinite().all()
    assert torch.equal(restored[128:], dequantize(*quantize(original[128:])))


def test_dequantization_equals_that_of_transformers():
    outside = pytest.importorskip("transformers.integrations.finegrained_fp8")
    values, scales = quantize(weight((576, 200)))
    expected = outside._dequantize_fp8_weight(values, scales, [128, 128], torch.float32)
    assert torch.equal(dequantize(values, scales), expected)


@pytest.fixture(scope="module", params=["float32", "ue8m0"])
def folders(request, tmp_path_factory):
    """(FP8 checkpoint, the model of its dequantized copy), widths no multiples of 128 and more than one block."""
    config = ModelConfig.preset("tiny", vocab_size=64, hidden_size=160, intermediate_size=200, index_topk=16)
    model = Transformer(config).initialize(torch.Generator().manual_seed(0)).eval()
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("fp8")
    save_model(model, source)
    convert(source, target, Plan("fp8"))
    file = target / "model.safetensors"
    tensors = load_file(file)
    if request.param == "ue8m0":
        for name in tensors:
            if name.endswith("_scale_inv"):
                tensors[name] = tensors[name].log2().ceil().exp2().to(torch.float8_e8m0fnu)
        save_file(tensors, file, metadata={"format": "pt"})
    plain = {n: t for n, t in tensors.items() if not n.endswith("_scale_inv")}
    for name, tensor in plain.items():
        if tensor.dtype == FP8:
            scales = tensors[name + "_scale_inv"].float()
            rows, columns = (torch.arange(n) // 128 for n in tensor.shape)
            plain[name] = tensor.float() * scales[rows[:, None], columns[None]]
    copy = tmp_path_factory.mktemp("copy")
    save_file(plain, copy / "model.safetensors")
    (copy / "config.json").write_text(json.dumps(config.to_hf_dict()))
    return target, load_model(copy)


@pytest.mark.parametrize("fp8", ["keep", "dequantize"])
def test_logits_equal_those_of_the_dequantized_copy(folders, fp8):
    folder, copy = folders
    model = load_model(folder, fp8=fp8)
    ids = torch.randint(0, 64, (2, 60), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        hidden = model.hidden_states(ids)
        assert (model.logits(hidden) - copy(ids)).abs().max() < 1e-5
        expected = copy.mtp_hidden_states(copy.hidden_states(ids), ids)
        assert (model.mtp_hidden_states(hidden, ids) - expected).abs().max() < 1e-5


def test_kept_weights_are_fp8_in_memory_and_saved_byte_for_byte(folders, tmp_path):
    folder, _ = folders
    model = load_model(folder, fp8="keep")
    layer = model.model.layers[1]
    assert isinstance(layer.self_attn.kv_b_proj, FP8Linear) and isinstance(
        layer.mlp.experts.up_proj, FP8Stack
    )
    assert isinstance(model.model.layers[3].mlp.experts.down_proj, FP8Stack)  # the MTP layer
    save_model(model, tmp_path)
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys() and any(n.endswith("_scale_inv") for n in after)
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype
        assert torch.equal(tensor.view(torch.uint8), after[name].view(torch.uint8))
    assert "quantization_config" in json.loads((tmp_path / "config.json").read_text())


@pytest.mark.parametrize("change, told", [(None, "is FP8 without"), ((1, 1), r"has shape \(1, 1\)")])
def test_scales_that_do_not_fit_are_named(folders, tmp_path, change, told):
    folder, _ = folders
    name = "model.layers.0.self_attn.o_proj.weight"
    tensors = load_file(folder / "model.safetensors")
    tensors.pop(name + "_scale_inv")
    if change:
        tensors[name + "_scale_inv"] = torch.ones(change)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(UserError, match=f"{name}.*{told}"):
        load_model(tmp_path)
