"""What stages learn from and are asked: mixtures of text and generated tasks, and the held-out tasks."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A frozen record that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class TaskShare(Strict):
    """How often a family of tasks comes, and how hard."""

    difficulties: tuple[int, ...]  # drawn evenly
    weight: float = Field(default=1.0, gt=0)


class DataMix(Strict):
    """Real text beside demonstrations of generated tasks."""

    text_share: float = Field(ge=0, le=1)  # of the rows of a step; 1: text alone
    # share of the demonstrations in the chat encoding, the rest is plain
    conversations: float = Field(default=1.0, ge=0, le=1)
    tool_prompts: bool = True  # whether conversations with tool calls begin with the tools' long description
    # share of the demonstrations that answer one question in a conversation of up to four
    follow_ups: float = Field(default=0.0, ge=0, le=1)
    # share of the demonstrations that are conversations of two to four questions, each solved with its thinking kept
    whole_conversations: float = Field(default=0.0, ge=0, le=1)
    copies: float = Field(default=0.0, ge=0, lt=1)  # share of documents that copy random tokens
    tasks: dict[str, TaskShare] = {}
    # of the demonstrations, by weight
    styles: dict[Literal["full", "short", "direct"], float] = {"full": 1.0}


class Evaluation(Strict):
    """Held-out text and tasks. Tasks are asked, sampled as in RL, after every stage that trains on conversations."""

    # the mixture of the held-out rows, half of them real text; by default that of the first stage
    data: str = ""
    seq_len: int = Field(default=512, gt=1)  # tokens of a held-out row
    # of the model saved as `model`: measure what a decoded token costs, draw what its indexers select
    figures: bool = False
    attempts: int = Field(default=64, gt=0)  # at each difficulty of each family
    tasks: dict[str, tuple[int, ...]] = {}
    # what Speciale is for: asked as well, but no part of a domain's score
    hard: dict[str, tuple[int, ...]] = {}
    task_files: int = Field(default=256, gt=0)  # held-out tasks asked of a stage's task_files, at most
    mode: Literal["thinking", "chat"] = "thinking"
    max_tokens: int = Field(default=128, gt=0)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
