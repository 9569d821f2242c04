"""The engine: requests in, tokens out. A step is schedule, run, sample, hand out."""

import itertools
import secrets
from collections.abc import Callable
from collections.abc import Sequence as Many
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from baleen.config import ModelConfig, UserError
from baleen.config.engine import EngineConfig, SamplingParams
from baleen.engine.compute_path import choose_path
from baleen.engine.model_runner import ModelRunner
from baleen.engine.sampler import sample
from baleen.engine.scheduler import ScheduledSequence, Scheduler
from baleen.engine.sequence import FinishReason, GenerationResult, SamplingMask, Sequence, StepOutput
from baleen.model import Transformer, load_model, prepack, stored_dtype


class Engine:
    """Continuous batching over the paged latent cache. Not thread-safe: one caller at a time.

    Attributes:
        max_model_len: most tokens of prompt and completion together, as the config, the model and the cache allow.
        policy_version: version of the weights; see `update_weights`.
        compute_path: what computes; its `str` is a line for the user.
        num_drafted, num_accepted: tokens that the MTP layer drafted, and those of them that were right.
    """

    def __init__(
        self,
        model: Transformer,
        config: EngineConfig,
        eos_token_id: int | None = None,
        decode: Callable[[list[int]], str] | None = None,
    ):
        """decode: turns token ids into text; needed only for requests with stop strings."""
        self._decode = decode
        weight = next(model.parameters())
        self.compute_path = choose_path(config, model.config, weight.dtype, weight.device)
        self.model = model = self._as_served(model)
        self.config = config
        self.eos_token_id = model.config.eos_token_id if eos_token_id is None else eos_token_id
        limits = [model.config.max_position_embeddings, (config.num_blocks - 1) * config.block_size]
        self.max_model_len = min(limits if config.max_model_len is None else [*limits, config.max_model_len])
        if config.speculative and not model.config.num_nextn_predict_layers:
            raise UserError("speculative=True needs an MTP layer, this model has none; set it to False")
        self.policy_version = 0
        self.num_drafted = self.num_accepted = 0
        self._scheduler = Scheduler(config)
        self._runner = ModelRunner(model, config, self.compute_path.weight_dtype, self.max_model_len)
        self._sequences: dict[str, Sequence] = {}
        self._results: dict[str, GenerationResult] = {}
        self._ids = itertools.count()
        self._arrivals = itertools.count()

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        config: EngineConfig | None = None,
        device: torch.device | str = "cpu",
        decode: Callable[[list[int]], str] | None = None,
    ) -> "Engine":
        """Load a Hugging Face-format folder. Raises UserError if it is not one or does not match its config.

        Plain PyTorch computes in float32 unless `config` asks for bfloat16.
        """
        config = config or EngineConfig()
        stored = stored_dtype(path)
        if choose_path(config, ModelConfig.from_pretrained(path), stored, device).weight_dtype:
            dtype = stored  # the weights are prepacked from the numbers of the checkpoint
        else:
            dtype = torch.bfloat16 if config.weight_dtype == "bfloat16" else torch.float32
        return cls(load_model(path, dtype, device), config, decode=decode)

    @property
    def num_free_blocks(self) -> int:
        return self._scheduler.blocks.num_free

    def has_unfinished(self) -> bool:
        return bool(self._sequences)

    def check_request(self, prompt_ids: list[int], params: SamplingParams) -> None:
        """Raises UserError for a request that can never run. Safe to call from any thread."""
        vocab = self.model.config.vocab_size
        if not prompt_ids:
            raise UserError("the prompt is empty; give at least one token, as the begin-of-sentence token")
        if len(prompt_ids) >= self.max_model_len:
            raise UserError(
                f"the prompt has {len(prompt_ids)} tokens, max_model_len is {self.max_model_len} with at "
                "least one token to sample; shorten the prompt or raise the limit"
            )
        named = {
            "prompt": prompt_ids,
            "stop_token_ids": params.stop_token_ids,
            "logit_bias": tuple(params.logit_bias),
        }
        for name, ids in named.items():
            if ids and not 0 <= min(ids) <= max(ids) < vocab:
                wrong = next(token for token in ids if not 0 <= token < vocab)
                raise UserError(
                    f"{name} has token id {wrong}, this model's are 0 to {vocab - 1}; use its own tokenizer"
                )
        if params.stop and self._decode is None:
            raise UserError(
                f"stop has {params.stop[0]!r} and this engine knows no text; give Engine a decode function, or "
                "end by stop_token_ids"
            )
        if len(params.banned_ids) == vocab:
            raise UserError(
                f"logit_bias is -100, a ban, for all {vocab} tokens, which leaves none to sample; leave some out"
            )
        if params.min_tokens and len(self._stop_ids(params) | params.banned_ids) == vocab:
            raise UserError(
                f"stop_token_ids and the bans of logit_bias have all {vocab} tokens, so min_tokens leaves none; "
                "leave some out"
            )

    def new_request_id(self) -> str:
        """An id that no other request has."""
        return f"request-{next(self._ids)}"

    def add_request(
        self, prompt_ids: list[int], params: SamplingParams, request_id: str | None = None
    ) -> str:
        """Queue a prompt. Returns the request's id. Raises UserError when it can never run."""
        self.check_request(prompt_ids, params)
        request_id = request_id or self.new_request_id()
        if request_id in self._sequences or request_id in self._results:
            raise UserError(f"request_id {request_id!r} is in use; choose another or leave it out")
        sequence = Sequence(
            request_id=request_id,
            arrival=next(self._arrivals),
            num_prompt_tokens=len(prompt_ids),
            token_ids=list(prompt_ids),
            params=params,
            seed=(secrets.randbits(64) if params.seed is None else params.seed) % 2**64,
            stop_ids=self._stop_ids(params),
        )
        self._sequences[request_id] = sequence
        self._scheduler.add(sequence)
        return request_id

    def step(self) -> list[StepOutput]:
        """Run one step: one token per decoding request, and chunks of new prompts. Returns [] when idle."""
        work = self._scheduler.schedule()
        if not work:
            return []
        logits, draft_logits = self._runner.run(work)
        self._scheduler.commit(work)
        outputs = self._sample(logits, [item.sequence for item in work if item.samples])
        outputs += self._sample_after_drafts(draft_logits, [item for item in work if item.draft is not None])
        if self.config.speculative:
            self._runner.draft(work)
        return outputs

    def abort(self, request_id: str) -> None:
        """Stop a request and free its blocks; what it sampled becomes its result. Unknown ids are ignored."""
        if request_id in self._sequences:
            self._finish(self._sequences[request_id], "abort")

    def result(self, request_id: str) -> GenerationResult:
        """Take the result of a finished request. Raises KeyError if it is unknown or still running."""
        return self._results.pop(request_id)

    def discard(self, request_id: str) -> None:
        """Drop the result of a finished request. Unknown ids are ignored."""
        self._results.pop(request_id, None)

    def generate(
        self, prompts: Many[list[int]], params: SamplingParams | Many[SamplingParams]
    ) -> list[GenerationResult]:
        """Run all prompts to their ends; results in their order. Raises UserError before any of them runs."""
        each = [params] * len(prompts) if isinstance(params, SamplingParams) else params
        requests = list(zip(prompts, each, strict=True))
        for prompt, one in requests:
            self.check_request(prompt, one)
        ids = [self.add_request(prompt, one) for prompt, one in requests]
        while any(request_id in self._sequences for request_id in ids):
            self.step()
        return [self.result(request_id) for request_id in ids]

    def update_weights(self, model: Transformer, version: int | None = None) -> None:
        """Continue with `model`, which has the same config, as `policy_version` `version` (default: one higher).

        Call it between two steps. Requests in progress keep their tokens; their context is recomputed, as is what
        was cached.
        """
        assert model.config == self.model.config, "another architecture needs another engine"
        self.model = self._runner.model = self._as_served(model)
        self.policy_version = self.policy_version + 1 if version is None else version
        self.reset_prefix_cache()

    def _as_served(self, model: Transformer) -> Transformer:
        dtype = self.compute_path.weight_dtype
        return model if dtype is None else prepack(model, dtype)

    def reset_prefix_cache(self) -> None:
        """Empty the prefix cache. Requests in progress are recomputed."""
        self._scheduler.preempt_all()

    def _stop_ids(self, params: SamplingParams) -> frozenset[int]:
        ends = () if params.ignore_eos else (self.eos_token_id,)
        return frozenset((*ends, *params.stop_token_ids))

    def _sample_after_drafts(
        self, logits: NDArray[np.float32], drafted: list[ScheduledSequence]
    ) -> list[StepOutput]:
        """Sample a second token for those whose draft is what they have just sampled.

        A draft is one token with probability 1, so this is rejection sampling: it is accepted with the probability
        that the model gives it, and otherwise the token is drawn as if there had been no draft.
        """
        right = [i for i, item in enumerate(drafted) if self._is_right(item)]
        self.num_drafted += len(drafted)
        self.num_accepted += len(right)
        self._scheduler.commit([ScheduledSequence(drafted[i].sequence, 1, True) for i in right])
        return self._sample(logits[right], [drafted[i].sequence for i in right])

    def _is_right(self, item: ScheduledSequence) -> bool:
        return item.sequence.token_ids[-1] == item.draft and item.sequence.request_id in self._sequences

    def _sample(self, logits: NDArray[np.float32], sequences: list[Sequence]) -> list[StepOutput]:
        """Sample a token for each row of `logits` [B, V] and append it to its sequence."""
        if not sequences:
            return []
        outputs = []
        sampled = sample(logits, sequences)
        rows = zip(
            *(sequences, sampled.token_ids, sampled.logprobs, sampled.sampling_mask, sampled.top_logprobs),
            strict=True,
        )
        for sequence, token, logprob, mask, top in rows:
            sequence.token_ids.append(token)
            sequence.logprobs.append(logprob)
            if mask is not None:
                sequence.sampling_mask.append(mask)
            tops = [] if top is None else [top]
            sequence.top_logprobs += tops
            reason = self._finish_reason(sequence, token)
            if reason:
                self._finish(sequence, reason)
            outputs.append(StepOutput(sequence.request_id, [token], [logprob], tops, reason))
        return outputs

    def _finish_reason(self, sequence: Sequence, token: int) -> FinishReason | None:
        if token in sequence.stop_ids or self._completes_stop(sequence):
            return "stop"
        if (
            sequence.num_sampled >= sequence.params.max_tokens
            or len(sequence.token_ids) >= self.max_model_len
        ):
            return "length"
        return None

    def _completes_stop(self, sequence: Sequence) -> bool:
        """Whether the newest token completes a stop string."""
        stop = sequence.params.stop
        if not stop or self._decode is None:
            return False
        # A token is at least one byte, and four more tokens complete the first character.
        reach = max(len(string.encode()) for string in stop) + 4
        sampled = sequence.token_ids[sequence.num_prompt_tokens :]
        text = self._decode(sampled[-reach:])
        return any(string in text for string in stop)

    def _finish(self, sequence: Sequence, reason: FinishReason) -> None:
        prompt = sequence.num_prompt_tokens
        self._results[sequence.request_id] = GenerationResult(
            request_id=sequence.request_id,
            prompt_ids=sequence.token_ids[:prompt],
            token_ids=sequence.token_ids[prompt:],
            logprobs=sequence.logprobs,
            finish_reason=reason,
            num_cached_tokens=sequence.num_cached,
            routed_experts=self._runner.routed_experts(sequence),
            selected=self._runner.selected(sequence),
            sampling_mask=SamplingMask.of(sequence.sampling_mask) if sequence.records_mask else None,
            top_logprobs=None if sequence.params.logprobs is None else sequence.top_logprobs,
            policy_version=self.policy_version,
        )
        self._scheduler.remove(sequence)
        del self._sequences[sequence.request_id]
