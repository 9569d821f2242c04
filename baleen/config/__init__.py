"""Frozen, validated configs: models, engine, stages; presets; TOML in, resolved TOML out. No torch here."""

from baleen.config.errors import UsageError, UserError
from baleen.config.model import ModelConfig, RopeScaling

__all__ = ["ModelConfig", "RopeScaling", "UsageError", "UserError"]
