"""A conversation with a model that may call tools: what `baleen chat` runs, without a terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from baleen.agent.conversation import Conversation
from baleen.chat import EncodingError, Message, MessageCollector, ThinkingMode, Tokenizer, encode_pieces
from baleen.config import UserError
from baleen.config.engine import SamplingParams
from baleen.environments import Environment, Task, environment_for
from baleen.environments.toy.world import SYSTEM_MESSAGE

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
    def cost(self, text: str) -> None: ...


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


@dataclass
class Answer:
    """What a question led to. `content` is empty if there was no answer, and then the question is forgotten.

    problems: what went wrong on the way, in words: answers cut or in a broken format; empty if nothing did.
    """

    content: str
    problems: list[str]
    spent: Spent


class ChatSession:
    """Keeps the messages, asks the engine, runs the tools. Thinking lasts as long as a chain of calls.

    What it keeps can always be encoded again: of an answer that was cut or unreadable in parts only the content that
    was shown, of a round of calls that the format cannot write nothing.
    """

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

    def ask(self, text: str, screen: Screen, is_stopped: Callable[[], bool] = lambda: False) -> Answer:
        """One question, its tool calls and its answer. Characters that UTF-8 cannot encode become question marks.

        is_stopped: asked between two steps of the engine; if it returns True, KeyboardInterrupt is raised.

        Raises UserError when there is no room for an answer. Whatever is raised, KeyboardInterrupt included, the
        messages are as before the question.
        """
        mode: ThinkingMode = "thinking" if self.thinking else "chat"
        head = [SYSTEM_MESSAGE] if self.tools else []
        question: Message = {"role": "user", "content": text.encode("utf-8", "replace").decode()}
        turn = Conversation(self._tokenizer, mode, [*head, *self.messages, question])
        kept = [question]
        answer = Answer("", [], Spent())
        for _ in range(MAX_TOOL_ROUNDS):
            completion, token_ids = self._answer(turn.prompt_ids, mode, screen, answer.spent, is_stopped)
            message = completion.message()
            turn.add_completion(message, token_ids)
            if problem := self._problem(completion, turn.num_tokens):
                answer.problems.append(problem)
                screen.notice(problem)
            if completion.finish_reason != "tool_calls":
                answer.content = completion.content
                break
            results = self._world.step(message)
            for call, result in zip(completion.calls, results, strict=True):
                screen.tool_call(call.name, call.arguments)
                screen.tool_result(str(result["content"]))
            turn.add(results)
            if _can_be_encoded([question, message, *results]):
                kept += message, *results
        else:
            answer.problems.append(f"no answer in {MAX_TOOL_ROUNDS} rounds of tool calls")
            screen.notice(answer.problems[-1])
        if answer.content:
            self.messages += [*kept, {"role": "assistant", "content": answer.content}]
        else:
            screen.notice("there is no answer; this question is forgotten")
        return answer

    def _problem(self, completion: MessageCollector, num_tokens: int) -> str | None:
        """What is wrong with a completion that brought the conversation to `num_tokens`."""
        if completion.finish_reason == "length":
            if num_tokens > self._max_model_len:
                return f"cut: the context of {self._max_model_len} tokens is full; /reset starts a new conversation"
            return f"cut after {self._params.max_tokens} tokens; --max-tokens allows more"
        return completion.parse_error and f"parts of the answer could not be read: {completion.parse_error}"

    def _answer(
        self,
        prompt: list[int],
        mode: ThinkingMode,
        screen: Screen,
        spent: Spent,
        is_stopped: Callable[[], bool],
    ) -> tuple[MessageCollector, list[int]]:
        """Stream one completion to the screen. Returns it, and its token ids."""
        room = self._max_model_len - len(prompt)
        if room < 1:
            raise UserError(
                f"the conversation takes {len(prompt)} tokens, this model's context is "
                f"{self._max_model_len}; /reset starts a new one"
            )
        params = self._params.model_copy(update={"max_tokens": min(self._params.max_tokens, room)})
        completion = MessageCollector(self._tokenizer, mode, tools_offered=self.tools)
        request = self._engine.add_request(prompt, params)
        try:
            while completion.finish_reason is None:
                if is_stopped():
                    raise KeyboardInterrupt
                for output in self._engine.step():
                    delta = completion.push(output.new_token_ids, output.finish_reason)
                    screen.reasoning(delta.reasoning)
                    screen.content(delta.content)
        finally:
            self._engine.abort(request)  # nothing to abort unless something interrupted
            result = self._engine.result(request)
        spent.add(
            Spent(
                len(prompt),
                result.num_cached_tokens,
                completion.completion_tokens,
                completion.reasoning_tokens,
            )
        )
        return completion, result.token_ids


def _can_be_encoded(messages: Sequence[Message]) -> bool:
    """Whether a later prompt can repeat them: the arguments of a call may be anything, the format wants an object."""
    try:
        encode_pieces(messages, "chat")
    except EncodingError:
        return False
    return True
