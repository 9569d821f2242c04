"""A conversation with a model that may call tools: what `baleen chat` runs, without a terminal."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from baleen.agent.conversation import Conversation
from baleen.chat import EncodingError, Message, Tokenizer
from baleen.config import UserError
from baleen.config.engine import SamplingParams
from baleen.environments import Environment, Task, environment_for
from baleen.environments.world import SYSTEM_MESSAGE
from baleen.server.choice import Choice
from baleen.server.prompt import ThinkingMode

if TYPE_CHECKING:
    from baleen.engine import Engine

MAX_TOOL_ROUNDS = 16


class Screen(Protocol):
    """Where a session shows what happens. Text comes in pieces; every other call is one event."""

    def reasoning(self, text: str) -> None: ...
    def content(self, text: str) -> None: ...
    def tool_call(self, name: str, arguments: str) -> None: ...
    def tool_result(self, text: str) -> None: ...
    def notice(self, text: str) -> None: ...


@dataclass
class Spent:
    """Tokens of one or more model calls; cached ones are part of the prompt's."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    def add(self, other: "Spent") -> None:
        self.prompt += other.prompt
        self.cached += other.cached
        self.completion += other.completion
        self.reasoning += other.reasoning


def builtin_world(store: str) -> Environment:
    """The environment whose `calculate` and `lookup` the session runs; `store` names the look-up's data."""
    data = {"salt": store}
    return environment_for(Task("chat", "tool", "chat", 0, "train", (SYSTEM_MESSAGE,), "", data))


class ChatSession:
    """Keeps the messages, asks the engine, runs the tools. Thinking lasts as long as a chain of calls."""

    def __init__(
        self,
        engine: "Engine",
        tokenizer: Tokenizer,
        world: Environment,
        max_model_len: int,
        params: SamplingParams,
        thinking: bool,
        tools: bool,
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._world = world
        self._max_model_len = max_model_len
        self._params = params
        self.thinking = thinking
        self.tools = tools
        self.messages: list[Message] = []

    def reset(self) -> None:
        self.messages.clear()

    def ask(self, text: str, screen: Screen) -> Spent:
        """One question, its tool calls and its answer. Raises UserError when there is no room for an answer.

        Whatever ends it early, KeyboardInterrupt included, the messages are as before the question.
        """
        mode: ThinkingMode = "thinking" if self.thinking else "chat"
        head = [SYSTEM_MESSAGE] if self.tools else []
        question: Message = {"role": "user", "content": text}
        try:
            turn = Conversation(self._tokenizer, mode, [*head, *self.messages, question])
        except EncodingError as error:
            raise UserError(
                f"the conversation cannot be continued ({error}); /reset starts a new one"
            ) from error
        spent = Spent()
        for _ in range(MAX_TOOL_ROUNDS):
            choice, token_ids = self._answer(turn.prompt_ids, mode, screen, spent)
            message = _assistant_message(choice)
            turn.add_completion(message, token_ids)
            if choice.finish_reason == "length":
                screen.notice("cut at the limit of tokens")
            if choice.parse_error:
                screen.notice(f"parts of the answer could not be read: {choice.parse_error}")
            if choice.finish_reason != "tool_calls":
                self.messages = turn.messages[len(head) :]
                return spent
            results = self._world.step(message)
            for call, result in zip(choice.calls, results, strict=True):
                screen.tool_call(call.name, call.arguments)
                screen.tool_result(str(result["content"]))
            turn.add(results)
        screen.notice(f"no answer in {MAX_TOOL_ROUNDS} rounds of tool calls; this question is forgotten")
        return spent

    def _answer(
        self, prompt: list[int], mode: ThinkingMode, screen: Screen, spent: Spent
    ) -> tuple[Choice, list[int]]:
        """Stream one completion to the screen. Returns it, and its token ids."""
        room = self._max_model_len - len(prompt)
        if room < 1:
            raise UserError(
                f"the conversation takes {len(prompt)} tokens, this model's context is "
                f"{self._max_model_len}; /reset starts a new one"
            )
        params = self._params.model_copy(update={"max_tokens": min(self._params.max_tokens, room)})
        choice = Choice(0, self._tokenizer, mode, offers_tools=self.tools, stop=(), top_logprobs=None)
        request = self._engine.add_request(prompt, params)
        try:
            while choice.finish_reason is None:
                for output in self._engine.step():
                    delta = choice.push(output)
                    screen.reasoning(delta.reasoning)
                    screen.content(delta.content)
        finally:
            self._engine.abort(request)  # nothing to abort unless something interrupted
            result = self._engine.result(request)
        spent.add(
            Spent(len(prompt), result.num_cached_tokens, choice.completion_tokens, choice.reasoning_tokens)
        )
        return choice, result.token_ids


def _assistant_message(choice: Choice) -> Message:
    message: Message = {"role": "assistant", "content": choice.content}
    if choice.thinking_mode == "thinking":
        message["reasoning_content"] = choice.reasoning
    if choice.finish_reason == "tool_calls":
        message["tool_calls"] = [_tool_call(call.id, call.name, call.arguments) for call in choice.calls]
    return message


def _tool_call(identity: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
