"""The HTTP API, in the form of DeepSeek's of the V3.2 period, and a web page that talks to it."""

from baleen.server.app import Prices, create_app
from baleen.server.engine_adapter import EngineAdapter, ServingEngine
from baleen.server.limits import Limits
from baleen.server.scripted import ScriptedEngine
from baleen.server.served_model import ServedModel

__all__ = [
    "EngineAdapter",
    "Limits",
    "Prices",
    "ScriptedEngine",
    "ServedModel",
    "ServingEngine",
    "create_app",
]
