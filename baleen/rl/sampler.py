"""Rollout samplers, which play tasks with the policy's current weights."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, Protocol, get_args

from baleen.agent import EnginePolicy, Limits, Trajectory, rollout_all
from baleen.chat import Tokenizer
from baleen.config import EngineConfig, SamplingParams, UserError
from baleen.config.stages import RLStage
from baleen.engine import AsyncEngine, Engine
from baleen.environments import Environment, Task, environment_for
from baleen.model import Transformer

LIMITS = Limits(max_turns=8, max_length=2048)

EnvironmentFactory = Callable[[Task], Environment]

Capability = Literal["keep_routing", "keep_selection", "keep_sampling_mask", "deterministic"]
"""Options of an RL stage that the sampler must support."""


class RolloutSampler(Protocol):
    """Plays tasks with the latest weights."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The options of a stage that this sampler can serve."""
        ...

    def update_weights(self, model: Transformer, version: int) -> None:
        """Sample with the weights of `model` from now on; trajectories carry `version`."""
        ...

    def sample(self, tasks: Sequence[Task], params: Sequence[SamplingParams]) -> list[Trajectory]:
        """Play each task once, with its own `params`. The same weights and arguments give the same trajectories."""
        ...


class EngineSampler:
    """Samples with an engine in this process, which lives as long as the sampler."""

    capabilities: frozenset[Capability] = frozenset(get_args(Capability))

    def __init__(
        self, tokenizer: Tokenizer, stage: RLStage, environments: EnvironmentFactory = environment_for
    ) -> None:
        self._tokenizer, self._environments, self._mode = tokenizer, environments, stage.mode
        self._limits = replace(LIMITS, max_turns=stage.max_turns)
        self._config = EngineConfig(max_num_seqs=256, record_selection=stage.keep_selection)
        self._engine: Engine | None = None

    def update_weights(self, model: Transformer, version: int) -> None:
        if self._engine is None:
            self._engine = Engine(model, self._config, self._tokenizer.eos_token_id)
            self._engine.policy_version = version
        else:
            self._engine.update_weights(model, version)

    def sample(self, tasks: Sequence[Task], params: Sequence[SamplingParams]) -> list[Trajectory]:
        assert self._engine is not None, "update_weights comes before sample"
        engine = AsyncEngine(self._engine)

        async def play() -> list[Trajectory]:
            policy = EnginePolicy(engine, self._tokenizer)
            environments = [self._environments(task) for task in tasks]
            return await rollout_all(policy, self._tokenizer, environments, self._mode, params, self._limits)

        return asyncio.run(play())


def check_capabilities(sampler: RolloutSampler, stage: RLStage) -> None:
    """Raises UserError if `stage` asks for what `sampler` cannot do."""
    for option in get_args(Capability):
        if getattr(stage, option) and option not in sampler.capabilities:
            raise UserError(
                f"{option} = true needs a sampler that supports it, this one cannot; set {option} = false"
            )
