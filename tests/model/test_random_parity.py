"""Thirty random small models against `transformers`: logits, chosen sets, both modes, cache, padding, dense V3."""

import random

import pytest
import torch

import baleen.model.mla as mla
from baleen.config import ModelConfig
from baleen.model import AttentionMetadata, Record
from tests.model.outside import Selection, build, cached_logits, in_transformers, random_config, random_ids

pytest.importorskip("transformers")

DENSE = {"index_n_heads": 0, "sparse_attention": False}


@pytest.mark.parametrize("seed", range(30))
@torch.no_grad()
def test_a_random_model_equals_transformers(tmp_path, monkeypatch, seed):
    config = random_config(seed)
    model = build(config, seed)
    outside = in_transformers(model, tmp_path)
    length = random.Random(seed).randint(max(40, config.index_topk + 8), 600)
    ids = random_ids(2 if length < 250 else 1, length, seed)
    selection = Selection(monkeypatch, outside)
    monkeypatch.setattr(mla, "MATERIALIZE_WITHIN", 10**6)  # MHA mode
    expanded = model(ids)
    theirs = outside(ids).logits
    assert selection.compared == config.num_hidden_layers * ids.numel()
    assert selection.worst_gap < 1e-6
    assert (expanded - theirs).abs().max() < 1e-4
    monkeypatch.setattr(mla, "MATERIALIZE_WITHIN", 0)  # MQA mode, gathering the selected latents
    assert (model(ids) - theirs).abs().max() < 1e-4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("within", [0, 4])
@torch.no_grad()
def test_chunked_prefill_and_decode_equal_prefill(monkeypatch, seed, within):
    monkeypatch.setattr(mla, "MATERIALIZE_WITHIN", within)
    config = random_config(seed)
    model = build(config, seed)
    ids = random_ids(2, config.index_topk * 5 // 2 + 20, seed)
    chunks = [config.index_topk - 3, 7, config.index_topk]  # within, across and beyond index_topk
    chunks += [1] * (ids.shape[1] - sum(chunks))
    whole = model(ids)
    assert (cached_logits(model, ids, chunks) - whole).abs().max() < 1e-5 * whole.abs().max()


@torch.no_grad()
def test_cached_decode_equals_cached_decode_of_transformers(tmp_path):
    from transformers import DynamicCache

    model = build(random_config(3).replace(index_n_heads=16, index_topk=12), 3)
    outside = in_transformers(model, tmp_path)
    ids, chunks = random_ids(2, 80), [30, 20] + [1] * 30
    cache = DynamicCache(config=outside.config)
    theirs = [outside(part, past_key_values=cache, use_cache=True).logits for part in ids.split(chunks, 1)]
    assert (cached_logits(model, ids, chunks) - torch.cat(theirs, 1)).abs().max() < 1e-4


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_padding_is_not_seen(tmp_path, side):
    model = build(random_config(5).replace(index_n_heads=16, index_topk=12), 5)
    outside = in_transformers(model, tmp_path)
    ids, counted = random_ids(3, 70), torch.ones(3, 70, dtype=torch.bool)
    for row, padding in enumerate([0, 11, 40]):
        place = slice(0, padding) if side == "left" else slice(70 - padding, 70)
        counted[row, place] = False
    segments = counted.long()
    meta = model.metadata(ids, segments)
    ours = model.logits(model.hidden_states(ids, AttentionMetadata(meta.positions, segments)))
    theirs = outside(ids, attention_mask=segments, position_ids=meta.positions).logits
    assert (ours - theirs)[counted].abs().max() < 1e-4


@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_a_dense_model_is_deepseek_v3(tmp_path, seed):
    config = random_config(seed).replace(**DENSE)
    model = build(config, seed)
    outside = in_transformers(model, tmp_path)
    assert type(outside).__name__ == "DeepseekV3ForCausalLM"
    assert ModelConfig.from_pretrained(tmp_path).index_n_heads == 0
    ids = random_ids(2, 150, seed)
    theirs = outside(ids).logits
    assert (model(ids) - theirs).abs().max() < 1e-4
    assert (cached_logits(model, ids, [60, 50] + [1] * 40) - theirs).abs().max() < 1e-4
    # the switch on a model that keeps its indexers computes the same
    kept = build(random_config(seed).replace(sparse_attention=False), seed)
    kept.load_state_dict(model.state_dict(), strict=False)
    assert torch.equal(kept(ids), model(ids))


@pytest.mark.parametrize("seed", range(30))
@torch.no_grad()
def test_bfloat16_costs_us_what_it_costs_transformers(tmp_path, monkeypatch, seed):
    """Both in bfloat16, with the tokens and, for ours, the experts that the float32 model chose: another choice moves
    the logits by what no bound on rounding describes."""
    config = random_config(seed)
    model = build(config, seed)
    outside = in_transformers(model, tmp_path, torch.bfloat16)
    ids = random_ids(2, config.index_topk * 2 + 40, seed)
    selection = Selection(monkeypatch, outside)
    record = Record()
    exact = model.logits(model.hidden_states(ids, record=record))
    theirs = outside(ids).logits.float()
    selection.replay(monkeypatch)
    chosen = torch.stack(record.routed_experts, 2) if record.routed_experts else None
    model.set_dtype(torch.bfloat16)
    rounded = model.logits(model.hidden_states(ids, record=Record(replay_experts=chosen)))

    def distance(one: torch.Tensor, other: torch.Tensor) -> float:
        return float((one - other).square().mean().sqrt())

    by_rounding = distance(theirs, exact)
    assert 0 < distance(rounded, exact) < 1.5 * by_rounding
    assert distance(rounded, theirs) < 2 * by_rounding
