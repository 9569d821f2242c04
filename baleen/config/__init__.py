"""Frozen, validated configs: models, engine, stages; presets; TOML in, resolved TOML out. No torch here."""

from baleen.config.engine import EngineConfig, SamplingParams
from baleen.config.errors import UsageError, UserError
from baleen.config.model import ModelConfig, RopeScaling, presets

__all__ = [
    "EngineConfig",
    "ModelConfig",
    "RopeScaling",
    "SamplingParams",
    "UsageError",
    "UserError",
    "presets",
]
