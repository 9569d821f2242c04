"""Folders exchanged with `transformers` in both directions, and precision that survives loading."""

import pytest
import torch

from baleen.config import ModelConfig
from baleen.model import Transformer, load_model, save_model
from baleen.model.conversion import Plan, convert
from tests.model.outside import build, random_config, random_ids

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("kind", ["DeepseekV32", "DeepseekV3"])
@torch.no_grad()
def test_what_transformers_wrote_loads_with_the_same_logits(tmp_path, kind):
    values = random_config(1).replace(index_n_heads=16, index_topk=16).to_hf_dict()
    values = {k: v for k, v in values.items() if k not in ("model_type", "architectures", "sparse_attention")}
    if kind == "DeepseekV3":
        values = {k: v for k, v in values.items() if not k.startswith("index_")}
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**values, initializer_range=0.2)
    outside = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    outside.save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert model.config.sparse_attention == (kind == "DeepseekV32")
    ids = random_ids(2, 100)
    assert (model(ids) - outside(ids).logits).abs().max() < 1e-4


@torch.no_grad()
def test_transformers_reads_past_the_mtp_layer(tmp_path):
    """It ignores `model.layers.61` by pattern, so a smaller model's MTP layer is unexpected, and harmless."""
    model = build(random_config(1).replace(num_nextn_predict_layers=1), 1)
    save_model(model, tmp_path)
    outside, loading = transformers.DeepseekV32ForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not loading["missing_keys"]
    assert loading["unexpected_keys"] and all(
        k.startswith("model.layers.2.") for k in loading["unexpected_keys"]
    )
    ids = random_ids(1, 60)
    assert (model(ids) - outside.float().eval()(ids).logits).abs().max() < 1e-4


@torch.no_grad()
def test_transformers_reads_our_fp8(tmp_path):
    """Widths up to 128 or multiples of it: without a GPU `transformers` takes the size of a block from the number of
    scales, so it refuses the released 576 rows of kv_a_proj_with_mqa, and would scale 160 columns by halves of 80."""
    changes = {"hidden_size": 256, "intermediate_size": 256, "index_n_heads": 16, "index_topk": 16}
    config = ModelConfig.preset("tiny", vocab_size=97, num_nextn_predict_layers=0, **changes)
    save_model(build(config, 4), tmp_path / "float32")
    convert(tmp_path / "float32", tmp_path / "fp8", Plan("fp8"))
    kind = transformers.DeepseekV32ForCausalLM
    outside, loading = kind.from_pretrained(tmp_path / "fp8", dtype=torch.float32, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    ids = random_ids(2, 60)
    assert (load_model(tmp_path / "fp8")(ids) - outside.eval()(ids).logits).abs().max() < 1e-4


def test_what_makes_choices_stays_float32_in_bfloat16(tmp_path):
    model = build(random_config(1).replace(first_k_dense_replace=0), 1)
    save_model(model, tmp_path)
    loaded = load_model(tmp_path, dtype=torch.bfloat16)
    kept = {name for name, tensor in loaded.state_dict().items() if tensor.dtype == torch.float32}
    wanted = ("indexer.weights_proj.weight", "gate.e_score_correction_bias")
    assert kept == {name for name in model.state_dict() if name.endswith(wanted)} and kept
    for name in kept:
        assert torch.equal(loaded.state_dict()[name], model.state_dict()[name])


def test_a_dense_model_has_no_indexer_and_caches_no_index_key():
    config = random_config(0).replace(index_n_heads=0, sparse_attention=False)
    assert not [name for name, _ in Transformer(config).named_parameters() if "indexer" in name]
    assert ModelConfig.from_dict(config.to_hf_dict(), "config.json").index_key_dim == 0
