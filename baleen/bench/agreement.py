"""Before speeds are compared: do the peers compute the same? The tiny shape in float32, a prompt beyond index_topk."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baleen.bench.contender import Contender, Served, start
from baleen.bench.options import OURS
from baleen.bench.prompts import prompt
from baleen.bench.shapes import shape

SEED = 0
TOKENS = 16  # decoded, all of them with sparse attention


@dataclass(frozen=True)
class Agreement:
    """How far `engine` follows ours when both decode greedily after the same prompt.

    logprob_difference: the largest of the tokens on which they agree, in nats. Two index scores that are equal up to
    rounding may be chosen differently, which shows in the third digit and moves no token here.
    """

    engine: str
    prompt_tokens: int
    index_topk: int
    tokens: int
    same_tokens: int  # before the first that differs
    logprob_difference: float
    equal: bool


def compared(engine: str, prompt_tokens: int, ours: dict[str, Any], theirs: dict[str, Any]) -> Agreement:
    """Two answers of `greedy`, each {"token_ids", "logprobs"}."""
    same = 0
    difference = 0.0
    pairs: Iterable[tuple[int, int, float, float]] = zip(
        ours["token_ids"], theirs["token_ids"], ours["logprobs"], theirs["logprobs"], strict=False
    )
    for our_id, their_id, our_logprob, their_logprob in pairs:
        if our_id != their_id:
            break
        same += 1
        difference = max(difference, abs(our_logprob - their_logprob))
    count = len(ours["token_ids"])
    topk = shape("tiny").index_topk
    return Agreement(engine, prompt_tokens, topk, count, same, difference, same == count)


def agreement(
    peers: list[str], plain: bool, threads: int, seconds: float, temporary: Path
) -> list[Agreement]:
    """Our greedy tokens against those of every peer. Raises ContenderError when one cannot answer."""
    config = shape("tiny")
    token_ids = prompt(config.vocab_size, 3 * config.index_topk + 8, SEED)
    limits = {"max_model_len": len(token_ids) + TOKENS, "num_blocks": 64}
    served = Served(
        temporary / "tiny", temporary / "tiny.gguf", "float32", plain, config.vocab_size, limits, precise=True
    )
    folder = str(served.folder)
    with Contender("preparation", threads, seconds) as preparation:
        preparation.ask("load", threads=threads)
        preparation.ask("make", config=config.model_dump(), seed=SEED, folder=folder, dtype="float32")
        if "llama.cpp" in peers:
            preparation.ask("gguf", folder=folder, file=str(served.gguf), weights=served.weights)
    answers = {}
    with ExitStack() as stack:
        for engine in (OURS, *peers):
            contender = start(stack, engine, served, threads, seconds)
            answers[engine] = contender.ask("greedy", token_ids=token_ids, tokens=TOKENS)
    return [compared(peer, len(token_ids), answers[OURS], answers[peer]) for peer in peers]
