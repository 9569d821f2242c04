"""OpenAI's API as DeepSeek extends it: `/v1/chat/completions`, `/v1/models`, and the shape of their errors."""

from baleen.server.openai.chat_completions import chat_router
from baleen.server.openai.errors import error_body
from baleen.server.openai.models import models_router

__all__ = ["chat_router", "error_body", "models_router"]
