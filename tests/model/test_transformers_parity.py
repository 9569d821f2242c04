"""The model against `transformers`, an implementation we did not write, at contexts longer than index_topk."""

import pytest
import torch

from baleen.config import ModelConfig
from baleen.model import Transformer, load_model, save_model
from baleen.ops import rotate_interleaved

YARN = {"factor": 4.0, "original_max_position_embeddings": 32}


def build(seed: int, **changes) -> Transformer:
    # many indexer heads: with few, ReLU makes whole scores zero, and ties may be broken either way
    config = ModelConfig.preset(
        "tiny", vocab_size=200, index_n_heads=16, num_nextn_predict_layers=0, **changes
    )
    return Transformer(config).initialize(torch.Generator().manual_seed(seed)).eval()


@pytest.mark.parametrize(
    "changes",
    [
        {"index_topk": 8},
        {"index_topk": 16, "rope_scaling": YARN},
        {"index_topk": 8, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 0},
        {"index_topk": 12, "num_attention_heads": 2, "v_head_dim": 40, "qk_rope_head_dim": 8},
    ],
)
def test_logits_equal_those_of_transformers(tmp_path, changes):
    transformers = pytest.importorskip("transformers")
    model = build(0, **changes)
    save_model(model, tmp_path)
    outside, loading = transformers.DeepseekV32ForCausalLM.from_pretrained(
        tmp_path, dtype=torch.float32, output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    ids = torch.randint(0, 200, (2, 90), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (model(ids) - outside.eval()(ids).logits).abs().max() < 1e-4


def test_the_indexers_rope_layout_shows_only_beyond_index_topk(monkeypatch):
    model = build(0, index_topk=16)
    ids = torch.randint(0, 200, (1, 90), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        right = model(ids)
        monkeypatch.setattr("baleen.model.indexer.rotate_half_split", rotate_interleaved)
        wrong = model(ids)
    # the kernel skips other blocks under another mask, so equal but for the order of sums
    assert torch.allclose(right[:, :16], wrong[:, :16], atol=1e-5)
    assert (right - wrong)[:, 16:].abs().max() > 0.01


def test_a_saved_model_loads_equal(tmp_path):
    model = Transformer(ModelConfig.preset("tiny")).initialize(torch.Generator().manual_seed(2)).eval()
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
    ids = torch.arange(60).unsqueeze(0)
    assert torch.equal(model(ids), loaded(ids))
