"""Baleen: the whole DeepSeek-V3.2 system in one readable package.

What most programs need is here by name and loaded when it is first used: `import baleen` costs nothing and brings no
torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baleen.chat import encode_messages, encode_pieces, parse_message_from_completion_text
    from baleen.config import EngineConfig, ModelConfig, SamplingParams
    from baleen.engine import Engine
    from baleen.model import load_model, save_model
    from baleen.stages.run import train_recipe

__version__ = "0.1.0"

_HOMES = {
    "Engine": "baleen.engine",
    "EngineConfig": "baleen.config",
    "ModelConfig": "baleen.config",
    "SamplingParams": "baleen.config",
    "encode_messages": "baleen.chat",
    "encode_pieces": "baleen.chat",
    "load_model": "baleen.model",
    "parse_message_from_completion_text": "baleen.chat",
    "save_model": "baleen.model",
    "train_recipe": "baleen.stages.run",
}

__all__ = [
    "Engine",
    "EngineConfig",
    "ModelConfig",
    "SamplingParams",
    "__version__",
    "encode_messages",
    "encode_pieces",
    "load_model",
    "parse_message_from_completion_text",
    "save_model",
    "train_recipe",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'baleen' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
