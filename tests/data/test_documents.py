"""Documents to train on: the targets are what an assistant would sample, in the ids a rollout would have."""

import asyncio
import random

import numpy as np
import pytest

from baleen.agent import Limits, ScriptedPolicy, rollout
from baleen.config import SamplingParams
from baleen.data import Mixture, conversation_document, plain_document
from baleen.environments import demonstrate, environment_for, follow_up, sample_conversation, sample_task


@pytest.mark.parametrize("style", ["full", "short", "direct"])
@pytest.mark.parametrize("family", ["sum", "program", "calculator", "lookup"])
def test_a_conversation_is_the_rollout_that_says_the_same(tokenizer, family, style):
    task = sample_task(family, 2, random.Random(0), "train")
    is_the_rollout_that_says_the_same(tokenizer, task, style)


@pytest.mark.parametrize("style", ["full", "direct"])
def test_so_is_the_last_turn_of_a_longer_one(tokenizer, style):
    """Earlier answers stand in it as a chat would keep them: without thinking, their calls and results included."""
    kinds = {"sum": [3], "program": [2], "calculator": [1], "lookup": [2]}
    for seed in range(8):
        tasks = sample_conversation(kinds, 3, random.Random(seed), "train")
        is_the_rollout_that_says_the_same(tokenizer, follow_up(tasks), style)


def is_the_rollout_that_says_the_same(tokenizer, task, style):
    mode = "chat" if style == "direct" else "thinking"
    messages = [*task.messages, *demonstrate(task, style)]
    document = conversation_document(tokenizer, messages, mode)
    policy = ScriptedPolicy(tokenizer, mode, demonstrate(task, style))
    played = asyncio.run(
        rollout(policy, tokenizer, environment_for(task), mode, SamplingParams(), Limits(9, 10_000))
    )
    (sample,) = played.samples()
    assert (document.token_ids, document.loss_mask) == (sample.token_ids, sample.loss_mask)


def test_the_question_of_a_plain_document_is_no_target(tokenizer):
    document = plain_document(tokenizer, "Question: Add 1+2.", "\nAnswer: 3\n")
    targets = [i for i, wanted in zip(document.token_ids, document.loss_mask, strict=True) if wanted]
    assert tokenizer.decode(targets[:-1]) == "\nAnswer: 3\n" and targets[-1] == tokenizer.eos_token_id
    assert document.token_ids[0] == tokenizer.bos_token_id


@pytest.mark.parametrize("text_share", [0.0, 0.25])
def test_a_batch_is_a_function_of_seed_stage_and_step(tokenizer, text_share):
    def draw(rng: random.Random):
        return plain_document(tokenizer, f"Q{rng.random()}", "A")

    def batch(seed=0, stage="sft", step=3):
        mixture = Mixture(np.arange(100, 299, dtype=np.int32), text_share, draw, seed)
        return mixture.batch(stage, step, 8, 64)

    first, again = batch(), batch()
    assert (first.token_ids == again.token_ids).all() and (first.segments == again.segments).all()
    for other in (batch(seed=1), batch(stage="distill"), batch(step=4)):
        assert (other.token_ids != first.token_ids).any()
    texts = [row for row in first.token_ids if (np.diff(row) == 1).all()]
    assert len(texts) == 8 * text_share
