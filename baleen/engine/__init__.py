"""The inference engine: scheduler, paged latent cache, sampler."""

from baleen.engine.async_engine import AsyncEngine
from baleen.engine.compute_path import ComputePath, choose_path
from baleen.engine.engine import Engine
from baleen.engine.sampler import sampled_logprobs
from baleen.engine.sequence import GenerationResult, SamplingMask, StepOutput

__all__ = [
    "AsyncEngine",
    "ComputePath",
    "Engine",
    "GenerationResult",
    "SamplingMask",
    "StepOutput",
    "choose_path",
    "sampled_logprobs",
]
