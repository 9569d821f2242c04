"""`baleen chat` with an engine that answers from a script, for tests; as a program it runs on the terminal at hand.

    python scripted_chat.py SCRIPT FOLDER [options of baleen chat]

SCRIPT is JSON: `completions` (the last one repeats), `seconds_per_step`, `prompts` (a file that gets every prompt as
a JSON string per line), `go` (a file that loading waits for) or null.
"""

import fcntl
import json
import signal
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from baleen.chat import Tokenizer
from baleen.chat.preamble import split_controls
from baleen.cli import loading
from baleen.cli.loading import LoadedModel
from baleen.config.engine import SamplingParams


@dataclass
class Output:
    new_token_ids: list[int]
    finish_reason: str | None
    new_top_logprobs: list[Any] = field(default_factory=list)


class ScriptedSteps:
    """What a chat needs of an engine. One request at a time; a completion without its end token is cut."""

    def __init__(self, tokenizer: Tokenizer, completions: list[str], seconds_per_step: float = 0.0) -> None:
        self.prompts: list[str] = []
        self.seconds_per_step = seconds_per_step
        self._tokenizer = tokenizer
        self._completions = [tokenizer.encode_pieces(split_controls(text)) for text in completions]
        self._made: list[int] = []
        self._left: list[int] = []

    def add_request(self, prompt_ids: list[int], params: SamplingParams) -> str:
        script = self._completions[min(len(self.prompts), len(self._completions) - 1)]
        self.prompts.append(self._tokenizer.decode(prompt_ids))
        self._made, self._left = [], script[: params.max_tokens]
        return "request"

    def step(self) -> list[Output]:
        time.sleep(self.seconds_per_step)
        token = self._left.pop(0)
        self._made.append(token)
        ends = "stop" if token == self._tokenizer.eos_token_id else None if self._left else "length"
        return [Output([token], ends)]

    def abort(self, request_id: str) -> None:
        self._left = []

    def result(self, request_id: str) -> Any:
        return SimpleNamespace(num_cached_tokens=0, token_ids=self._made)


def main() -> int:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C reaches this process
    # A job in the background of a shell inherits an ignored SIGINT, which Python leaves alone.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    script = json.loads(Path(sys.argv[1]).read_text())

    def load(path: Path, **_: Any) -> LoadedModel:
        if "torch" in sys.modules:
            print("torch was imported before anything was shown")
        while script["go"] and not Path(script["go"]).exists():
            time.sleep(0.01)
        tokenizer = Tokenizer.from_pretrained(path)
        engine = ScriptedSteps(tokenizer, script["completions"], script["seconds_per_step"])
        engine.prompts = _Kept(Path(script["prompts"]))
        return LoadedModel("tiny", engine, tokenizer, 4096)  # type: ignore[arg-type]

    loading.load = load  # type: ignore[assignment]
    from baleen.cli.main import main as baleen

    return baleen(["chat", *sys.argv[2:]])


class _Kept(list):
    """A list that also goes into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, prompt: str) -> None:
        super().append(prompt)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(prompt) + "\n")


if __name__ == "__main__":
    sys.exit(main())
