"""The engine: requests in, tokens out. A step is schedule, run, sample, hand out."""

import itertools
import random
from collections.abc import Sequence as Prompts
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from baleen.config import UserError
from baleen.config.engine import EngineConfig, SamplingParams
from baleen.engine.runner import Runner
from baleen.engine.sampler import sample
from baleen.engine.scheduler import Scheduler, Work
from baleen.engine.sequence import FinishReason, GenerationResult, Sequence, StepOutput, kept_sets
from baleen.model import Transformer, load_model


class Engine:
    """Continuous batching over the paged latent cache; not thread-safe: one caller at a time."""

    def __init__(self, model: Transformer, config: EngineConfig, eos_token_id: int | None = None):
        self.model = model
        self.config = config
        self.eos_token_id = model.config.eos_token_id if eos_token_id is None else eos_token_id
        self.policy_version = 0
        self._scheduler = Scheduler(config)
        self._runner = Runner(model, config)
        self._sequences: dict[str, Sequence] = {}
        self._results: dict[str, GenerationResult] = {}
        self._numbers = itertools.count()

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        config: EngineConfig | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> "Engine":
        """Load a Hugging Face-format folder. Raises UserError where it is none or does not fit its config."""
        return cls(load_model(path, dtype, device), config or EngineConfig())

    @property
    def num_free_blocks(self) -> int:
        return self._scheduler.blocks.num_free

    def has_unfinished(self) -> bool:
        return bool(self._sequences)

    def add_request(self, prompt_ids: list[int], params: SamplingParams, request_id: str | None = None) -> str:
        """Queue a prompt. Returns the request's id. Raises UserError when it can never run."""
        limit = min(self.config.max_model_len, (self.config.num_blocks - 1) * self.config.block_size)
        if not prompt_ids:
            raise UserError("the prompt is empty; give at least one token, as the begin-of-sentence token")
        if len(prompt_ids) >= limit:
            raise UserError(f"prompt has {len(prompt_ids)} tokens, max_model_len is {limit}; shorten it or raise the limit")
        vocab = self.model.config.vocab_size
        if not 0 <= min(prompt_ids) <= max(prompt_ids) < vocab:
            raise UserError(f"prompt has token ids outside 0..{vocab - 1}; encode it with this model's tokenizer")
        request_id = request_id or f"request-{next(self._numbers)}"
        if request_id in self._sequences or request_id in self._results:
            raise UserError(f"request_id {request_id!r} is in use; choose another or leave it out")
        seed = random.getrandbits(63) if params.seed is None else params.seed & (2**63 - 1)
        sequence = Sequence(request_id, len(prompt_ids), list(prompt_ids), params, seed)
        self._sequences[request_id] = sequence
        self._scheduler.add(sequence)
        return request_id

    def step(self) -> list[StepOutput]:
        """Advance every scheduled request by one step."""
        work = self._scheduler.schedule()
        if not work:
            return []
        logits = self._runner.run(work)
        sampling = [i for i, item in enumerate(work) if item.samples]
        self._scheduler.computed(work)
        return self._hand_out([work[i] for i in sampling], logits[sampling]) if sampling else []

    def abort(self, request_id: str) -> None:
        """Stop a request and free its blocks; what it had sampled becomes its result. Unknown ids are ignored."""
        sequence = self._sequences.get(request_id)
        if sequence is None:
            return
        if sequence.row < 0:
            self._scheduler.waiting.remove(sequence)
        self._finish(sequence, "abort")

    def result(self, request_id: str) -> GenerationResult:
        """Take the result of a finished request. Raises KeyError for one that is unknown or still running."""
        return self._results.pop(request_id)

    def discard(self, request_id: str) -> None:
        """Forget the result of a finished request that nobody will take."""
        self._results.pop(request_id, None)

    def generate(
        self, prompts: Prompts[list[int]], params: SamplingParams | Prompts[SamplingParams]
    ) -> list[GenerationResult]:
        """Run all prompts to their ends; results in the order of the prompts."""
        each = [params] * len(prompts) if isinstance(params, SamplingParams) else params
        ids = [self.add_request(prompt, one) for prompt, one in zip(prompts, each, strict=True)]
        while any(request_id in self._sequences for request_id in ids):
            self.step()
        return [self.result(request_id) for request_id in ids]

    def reset_prefix_cache(self) -> None:
        """Forget cached prefixes: call it after the weights changed, with no request in progress."""
        self._scheduler.blocks.forget()

    def _hand_out(self, work: list[Work], logits: NDArray[np.float32]) -> list[StepOutput]:
        sequences = [item.sequence for item in work]
        sampled = sample(logits, sequences, self.eos_token_id)
        outputs = []
        for sequence, token, logprob, kept in zip(
            sequences, sampled.token_ids, sampled.logprobs, sampled.kept, strict=True
        ):
            sequence.token_ids.append(token)
            sequence.logprobs.append(logprob)
            if kept is not None:
                sequence.kept.append(kept)
            reason = self._finish_reason(sequence, token)
            if reason:
                self._finish(sequence, reason)
            outputs.append(StepOutput(sequence.request_id, [token], [logprob], reason))
        return outputs

    def _finish_reason(self, sequence: Sequence, token: int) -> FinishReason | None:
        params = sequence.params
        if token in params.stop_token_ids or (token == self.eos_token_id and not params.ignore_eos):
            return "stop"
        if sequence.num_sampled >= params.max_tokens or len(sequence.token_ids) >= self.config.max_model_len:
            return "length"
        return None

    def _finish(self, sequence: Sequence, reason: FinishReason) -> None:
        sequence.finish_reason = reason
        prompt = sequence.num_prompt_tokens
        experts = self._runner.routed_experts(sequence)
        if sequence.row >= 0:
            self._scheduler.release(sequence)
        del self._sequences[sequence.request_id]
        self._results[sequence.request_id] = GenerationResult(
            request_id=sequence.request_id,
            prompt_ids=sequence.token_ids[:prompt],
            token_ids=sequence.token_ids[prompt:],
            logprobs=sequence.logprobs,
            finish_reason=reason,
            num_cached_tokens=sequence.num_cached,
            routed_experts=experts,
            kept=kept_sets(sequence.kept) if sequence.kept else None,
            policy_version=self.policy_version,
        )
