"""The roofline against numbers worked out by hand, and repeats against their median, spread and ratio."""

import pytest

from baleen.config import ModelConfig
from baleen.cost.roofline import Roofline, Work, decode_work, prefill_work, weights_met
from baleen.evaluation.timing import Sample, ratio

# One MoE layer, everything as small as the rules allow, so that each number below can be done on paper.
CONFIG = ModelConfig(
    vocab_size=10,
    hidden_size=4,
    num_hidden_layers=1,
    first_k_dense_replace=0,
    intermediate_size=8,
    moe_intermediate_size=2,
    num_attention_heads=1,
    q_lora_rank=2,
    kv_lora_rank=2,
    qk_nope_head_dim=2,
    qk_rope_head_dim=2,
    v_head_dim=2,
    n_routed_experts=4,
    n_shared_experts=1,
    num_experts_per_tok=1,
    index_n_heads=1,
    index_head_dim=2,
    index_topk=3,
    max_position_embeddings=64,
)
EXPERT = 3 * 4 * 2
# q_a, q_b, kv_a, kv_b, o | indexer's wq_b, wk, weights_proj | one routed and the shared expert, router | head
ACTIVE = (8 + 8 + 16 + 8 + 8) + (4 + 8 + 4) + (2 * EXPERT + 16) + 40
MQA, MHA, INDEX = 2 * (2 * 2 + 2), 2 * (2 + 2 + 2), 2 * 2  # FLOPs of a pair


def test_experts_are_read_once_however_many_tokens_chose_them() -> None:
    assert weights_met(CONFIG, 1) == ACTIVE
    assert weights_met(CONFIG, 2) == pytest.approx(ACTIVE + EXPERT * (4 * (1 - 0.75**2) - 1))
    assert weights_met(CONFIG, 1000) == pytest.approx(ACTIVE + 3 * EXPERT)


def test_a_decode_step() -> None:
    work = decode_work(CONFIG, context=10, weight_bytes=1, latent_bytes=2, index_bytes=3)
    assert work.flops == 2 * ACTIVE + 3 * MQA + 10 * INDEX
    assert work.bytes == ACTIVE + 2 * 3 * (2 + 2) + 3 * 10 * 2


def test_streams_share_the_weights_and_not_the_cache() -> None:
    one, two = (decode_work(CONFIG, 10, 2, 2, 2, streams) for streams in (1, 2))
    assert two.flops == 2 * one.flops
    assert two.bytes - one.bytes == pytest.approx(2 * 0.75 * EXPERT + 2 * (3 * 4 + 10 * 2))


def test_a_prompt_counts_the_logits_of_its_last_token_alone() -> None:
    work = prefill_work(CONFIG, length=5, weight_bytes=4)
    attention = sum(min(n * MHA, min(n, 3) * MQA) + n * INDEX for n in range(5))
    assert work.flops == 2 * (5 * (ACTIVE - 40) + 40) + attention
    assert work.bytes == 4 * weights_met(CONFIG, 5)


def test_prefill_continues_where_the_cache_ends() -> None:
    whole, start = prefill_work(CONFIG, 5, 4), prefill_work(CONFIG, 2, 4)
    rest = prefill_work(CONFIG, 3, 4, start=2)
    assert rest.flops == whole.flops - start.flops + 2 * 40
    assert prefill_work(CONFIG, 5, 4, prompts=3).flops == 3 * whole.flops


def test_a_model_without_indexers_reads_the_whole_cache() -> None:
    dense = CONFIG.replace(index_n_heads=0, sparse_attention=False)
    assert decode_work(dense, 10, 4, 4, 4).bytes == 4 * (ACTIVE - 16) + 4 * 10 * 4


def test_the_slower_of_reading_and_computing_counts() -> None:
    machine = Roofline(bandwidth=100.0, flops=1000.0)
    assert (Work(flops=500, bytes=200).seconds(machine), Work(500, 200).bound(machine)) == (2.0, "memory")
    assert (Work(flops=5000, bytes=200).seconds(machine), Work(5000, 200).bound(machine)) == (5.0, "compute")


def test_median_and_spread() -> None:
    sample = Sample((4.0, 1.0, 2.0))
    assert (sample.median, sample.spread) == (2.0, 0.75)
    assert Sample((3.0,)).spread == 0.0


def test_a_ratio_is_made_round_by_round() -> None:
    assert ratio([2.0, 30.0, 4.0], [1.0, 10.0]).values == (2.0, 3.0)
