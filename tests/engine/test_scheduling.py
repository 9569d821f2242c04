"""Scheduler and paged cache with the checksum model: any history gives what a request would get alone."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from baleen.config import UserError
from baleen.config.engine import EngineConfig, SamplingParams
from baleen.engine import Engine
from baleen.engine.block_manager import BlockManager, extend_block_keys
from baleen.engine.scheduler import ScheduledSequence
from baleen.engine.sequence import GenerationResult
from tests.engine.fake_model import VOCAB, ChecksumModel

GREEDY = SamplingParams(max_tokens=12, temperature=0, ignore_eos=True)


def engine_of(model: ChecksumModel | None = None, **sizes) -> Engine:
    sizes = {"block_size": 4, "num_blocks": 64, "max_num_seqs": 8, "max_model_len": 80} | sizes
    return Engine(model or ChecksumModel(), EngineConfig(backend="torch", **sizes))


def greedy(model: ChecksumModel, prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(model.expected_logits(ids).argmax()))
    return ids[len(prompt) :]


def prompts(count: int, low: int = 1, high: int = 40, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, VOCAB, rng.integers(low, high)).tolist() for _ in range(count)]


def check(result: GenerationResult, model: ChecksumModel) -> None:
    """A greedy result against the model without a cache."""
    assert result.token_ids == greedy(model, result.prompt_ids, len(result.token_ids))
    inputs = (result.prompt_ids + result.token_ids)[:-1]
    if result.finish_reason != "abort":
        assert result.routed_experts[:, 0, 0].tolist() == inputs
    else:
        assert result.routed_experts[:, 0, 0].tolist() == inputs[: len(result.routed_experts)]


@pytest.mark.parametrize("num_blocks", [22, 64, 400])
@pytest.mark.parametrize("budget", [1, 5, 1000])
@pytest.mark.parametrize("caching", [True, False])
def test_every_request_gets_what_it_would_get_alone(num_blocks, budget, caching):
    engine = engine_of(
        num_blocks=num_blocks, max_num_batched_tokens=budget, enable_prefix_caching=caching, max_num_seqs=6
    )
    batch = prompts(20) + prompts(5)
    for prompt, result in zip(batch, engine.generate(batch, GREEDY), strict=True):
        assert result.prompt_ids == prompt
        assert len(result.token_ids) == 12
        assert caching or result.num_cached_tokens == 0
        check(result, engine.model)
    assert engine.num_free_blocks == num_blocks - 1


def test_long_completions_are_preempted_and_lose_nothing(monkeypatch):
    engine = engine_of(num_blocks=15)
    preempted = []
    plain = engine._scheduler._preempt
    monkeypatch.setattr(engine._scheduler, "_preempt", lambda s: (preempted.append(s.arrival), plain(s)))
    params = SamplingParams(max_tokens=30, temperature=0, ignore_eos=True)
    for result in engine.generate(prompts(5, 3, 8), params):
        assert len(result.token_ids) == 30
        check(result, engine.model)
    assert preempted
    assert min(preempted) > 0, "the first arrival is never the victim"
    assert engine.num_free_blocks == 14


def test_requests_start_in_the_order_of_arrival():
    engine = engine_of(max_num_seqs=2, max_num_batched_tokens=8)
    ids = [engine.add_request(prompt, GREEDY) for prompt in prompts(8, 5, 20)]
    first_tokens = []
    while engine.has_unfinished():
        first_tokens += [o.request_id for o in engine.step() if o.request_id not in first_tokens]
    assert first_tokens == ids


def test_the_preempted_and_the_deferred_keep_their_place():
    engine = engine_of(max_num_seqs=2)
    waiting = engine._scheduler.waiting
    prompt = prompts(1, 30, 31)[0]
    ids = [engine.add_request(p, GREEDY) for p in (prompt, prompt, [1, 2], [3], [4])]
    engine.step()
    # the second waits until the first has computed the prompt, the third goes ahead
    assert [s.request_id for s in waiting] == [ids[1], *ids[3:]]
    engine.reset_prefix_cache()
    assert [s.request_id for s in waiting] == ids


def test_newcomers_wait_rather_than_be_preempted(monkeypatch):
    engine = engine_of(num_blocks=24)
    preempted = []
    plain = engine._scheduler._preempt
    monkeypatch.setattr(engine._scheduler, "_preempt", lambda s: (preempted.append(s), plain(s)))
    engine.generate(prompts(30, 13, 17), SamplingParams(max_tokens=4, temperature=0, ignore_eos=True))
    assert not preempted


def test_a_block_is_shared_only_behind_the_same_prefix():
    engine = engine_of()
    one, two, three, four = ([i] * 4 for i in range(1, 5))
    engine.generate([one + two + [9], three + four + [9]], GREEDY)
    result = engine.generate([three + two + [9]], GREEDY)[0]
    assert result.num_cached_tokens == 4
    check(result, engine.model)


def test_the_head_of_a_prefix_is_kept_longest():
    blocks = BlockManager(6)
    taken = [blocks.allocate() for _ in range(4)]
    keys: list[bytes] = []
    extend_block_keys(keys, list(range(16)), 4)
    for block, key in zip(taken, keys, strict=True):
        blocks.cache_block(block, key)
    blocks.free(taken)
    assert blocks.lookup(keys) == taken
    fresh = [blocks.allocate() for _ in range(3)]
    assert blocks.lookup(keys) == taken[:2]
    blocks.ref(taken[:1])
    blocks.free(fresh)
    blocks.reset()
    assert blocks.lookup(keys) == []
    blocks.free(taken[:1])
    assert sorted(blocks.allocate() for _ in range(blocks.num_free)) == [1, 2, 3, 4, 5]


def test_a_long_prompt_does_not_stop_the_others():
    engine = engine_of(max_num_batched_tokens=4)
    short = engine.add_request([1, 2], GREEDY)
    engine.step()
    long = engine.add_request(prompts(1, 40, 41)[0], GREEDY)
    for _ in range(9):
        assert [output.request_id for output in engine.step()] == [short]
    assert {output.request_id for output in engine.step()} == {short, long}


def test_equal_prompts_that_arrive_together_are_computed_once():
    engine = engine_of()
    prompt = prompts(1, 38, 39)[0]
    results = engine.generate([prompt] * 4 + [prompt[:20] + [3, 3]], GREEDY)
    assert [result.num_cached_tokens for result in results] == [0, 36, 36, 36, 20]
    for result in results:
        check(result, engine.model)
    assert engine.generate([prompt], GREEDY)[0].num_cached_tokens == 36


def test_a_completion_is_cached_for_the_next_turn():
    engine = engine_of()
    first = engine.generate([[1, 2, 3]], GREEDY)[0]
    turn = [*first.prompt_ids, *first.token_ids, 9, 9]
    second = engine.generate([turn], GREEDY)[0]
    assert second.num_cached_tokens == 12  # 14 computed tokens are three full blocks
    check(second, engine.model)


def test_new_weights_forget_the_cache_even_of_running_requests():
    model = ChecksumModel()
    engine = engine_of(model)
    prompt = prompts(1, 30, 31)[0]
    engine.generate([prompt], GREEDY)
    running = engine.add_request(prompt, GREEDY)
    before = [engine.step()[0].new_token_ids[0] for _ in range(5)]
    assert before == greedy(model, prompt, 5)
    engine.model.salt = 1
    engine._runner.cache.kv[0].zero_()
    engine.reset_prefix_cache()
    while engine.has_unfinished():
        engine.step()
    result = engine.result(running)
    assert result.token_ids == before + greedy(model, prompt + before, 7)
    check(engine.generate([prompt], GREEDY)[0], model)


def test_a_sequence_as_long_as_the_cache_ends_instead_of_waiting_for_ever():
    engine = engine_of(num_blocks=4, max_model_len=1000)
    assert engine.max_model_len == 12
    result = engine.generate([[1, 2]], SamplingParams(max_tokens=900, temperature=0, ignore_eos=True))[0]
    assert (len(result.token_ids), result.finish_reason) == (10, "length")
    with pytest.raises(UserError, match="12 tokens, max_model_len is 12"):
        engine.add_request([1] * 12, GREEDY)


def test_a_bad_request_in_a_list_leaves_no_other_behind():
    engine = engine_of()
    with pytest.raises(UserError, match="prompt has token id 99, this model's are 0 to 31"):
        engine.generate([[1, 2], [3, 99]], GREEDY)
    assert not engine.has_unfinished()
    with pytest.raises(UserError, match="stop_token_ids has token id 32"):
        engine.add_request([1], SamplingParams(stop_token_ids=(32,)))
    with pytest.raises(UserError, match="min_tokens leaves none"):
        engine.add_request([1], SamplingParams(min_tokens=1, stop_token_ids=tuple(range(VOCAB))))


def test_stop_tokens_end_and_min_tokens_delays_them():
    engine = engine_of()
    prompt = [5, 6, 7]
    expected = greedy(engine.model, prompt, 12)
    stop = expected[3]
    first = expected.index(stop)
    params = SamplingParams(max_tokens=12, temperature=0, ignore_eos=True, stop_token_ids=(stop,))
    result = engine.generate([prompt], params)[0]
    assert (result.token_ids, result.finish_reason) == (expected[: first + 1], "stop")
    later = engine.generate([prompt], params.model_copy(update={"min_tokens": 10}))[0]
    assert len(later.token_ids) > 10 or later.finish_reason == "length"
    assert stop not in later.token_ids[:10]
    assert later.sampling_mask is not None
    assert np.diff(later.sampling_mask.offsets).tolist()[:10] == [VOCAB - 1] * 10


def test_abort_gives_what_there_is():
    engine = engine_of(max_num_seqs=1)
    running, waiting = (engine.add_request(prompt, GREEDY) for prompt in prompts(2, 10, 20))
    for _ in range(3):
        engine.step()
    engine.abort(running)
    engine.abort(waiting)
    engine.abort("unknown")
    assert not engine.has_unfinished()
    assert engine.num_free_blocks == 63
    done = engine.result(running)
    assert (done.finish_reason, len(done.token_ids)) == ("abort", 3)
    check(done, engine.model)
    never = engine.result(waiting)
    assert (never.token_ids, never.routed_experts.shape[0]) == ([], 0)


def test_pieces_of_similar_length_share_a_forward_pass():
    engine = engine_of(num_blocks=400, max_model_len=200)
    lengths = [100, 3, 60, 40, 2, 90, 30]
    batch = [prompts(1, n, n + 1, seed=n)[0] for n in lengths]
    ids = [engine.add_request(prompt, GREEDY) for prompt in batch]
    engine.step()
    assert engine.model.forward_passes == 3  # 100, 90, 60 | 40 | the short ones
    while engine.has_unfinished():
        engine.step()
    for request_id in ids:
        check(engine.result(request_id), engine.model)


def test_a_damaged_block_table_is_caught():
    engine = engine_of(check_cache=True)
    for seed in range(2):
        engine.add_request([seed] * 20, SamplingParams(max_tokens=8, temperature=0, ignore_eos=True))
    engine.step()
    tables = engine._runner._tables
    mine, others = (sequence.batch_index for sequence in engine._scheduler.running)
    tables[mine, 1] = tables[others, 1]
    with pytest.raises(AssertionError, match="would read slot .* the block table is damaged"):
        engine.step()


def test_only_requests_of_one_salt_share_cached_prompts():
    engine = engine_of()
    prompt = list(range(20))
    cached = [
        engine.generate([prompt], SamplingParams(max_tokens=1, cache_salt=salt))[0].num_cached_tokens
        for salt in ("", "", "alice", "bob", "alice")
    ]
    assert cached[0] == cached[2] == cached[3] == 0 and cached[1] == cached[4] > 0


class AnyHistory(RuleBasedStateMachine):
    """Requests with common prefixes, steps, aborts, preemptions and new weights in a cache too small for them.

    Half of the guesses that each step checks are right.
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = {"num_blocks": 14, "max_num_seqs": 4, "max_num_batched_tokens": 6, "max_model_len": 48}
        self.engine = engine_of(**sizes, check_cache=True, speculative=True)
        self.engine._runner.draft = self.guess
        self.open: list[str] = []

    @rule(
        prefix=st.integers(0, 12),
        tail=st.lists(st.integers(0, 3), min_size=1, max_size=8),
        most=st.integers(1, 25),
    )
    def add(self, prefix: int, tail: list[int], most: int) -> None:
        params = SamplingParams(max_tokens=most, temperature=0, ignore_eos=True)
        self.open.append(self.engine.add_request([5] * prefix + tail, params))

    def guess(self, work: list[ScheduledSequence]) -> None:
        runner = self.engine._runner
        for sequence in (item.sequence for item in work if item.samples and item.sequence.batch_index >= 0):
            right = greedy(self.engine.model, sequence.token_ids, 1)[0]
            wrong = (right + 1) % VOCAB
            guess = right if len(sequence.token_ids) % 2 else wrong
            sequence.draft = guess if runner._may_draft(sequence) else None

    @rule(times=st.integers(1, 6))
    def step(self, times: int) -> None:
        for _ in range(times):
            for output in self.engine.step():
                if output.finish_reason:
                    self.open.remove(output.request_id)
                    check(self.engine.result(output.request_id), self.engine.model)

    @rule(which=st.integers(0, 100))
    def abort(self, which: int) -> None:
        if self.open:
            request_id = self.open.pop(which % len(self.open))
            self.engine.abort(request_id)
            check(self.engine.result(request_id), self.engine.model)

    @rule()
    def preempt(self) -> None:
        scheduler = self.engine._scheduler
        if scheduler.running:
            scheduler._preempt(max(scheduler.running, key=lambda sequence: sequence.arrival))

    @rule()
    def swap(self) -> None:
        version = self.engine.policy_version
        self.engine.update_weights(ChecksumModel())  # the same function: every result must still be right
        assert self.engine.policy_version == version + 1

    @invariant()
    def every_block_is_free_or_owned(self) -> None:
        owned = {block for sequence in self.engine._scheduler.running for block in sequence.blocks}
        assert 0 not in owned
        assert len(owned) + self.engine.num_free_blocks == 13

    def teardown(self) -> None:
        while self.open:
            self.step(1)
        assert not self.engine.has_unfinished()
        assert self.engine.num_free_blocks == 13


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=40, stateful_step_count=60, deadline=None, derandomize=True)
