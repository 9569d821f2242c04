"""Training mixtures of text and generated tasks, and the held-out evaluation."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A frozen model that rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


Styles = dict[Literal["full", "short", "direct"], float]
"""Weights of the demonstration styles."""


class TaskShare(Strict):
    """How often a task family is drawn, at which difficulties, and how it is demonstrated."""

    difficulties: tuple[int, ...]  # drawn uniformly
    weight: float = Field(default=1.0, gt=0)
    styles: Styles | None = None  # those of the mixture by default


class DataMix(Strict):
    """Real text beside demonstrations of generated tasks."""

    text_share: float = Field(ge=0, le=1)  # share of the rows of a step that are text; 1 for text only
    # share of the demonstrations in the chat encoding; the rest is plain text
    conversations: float = Field(default=1.0, ge=0, le=1)
    tool_prompts: bool = True  # whether conversations with tools start with the tool descriptions
    # share of the demonstrations that train one answer in a conversation of up to four questions
    follow_ups: float = Field(default=0.0, ge=0, le=1)
    # share of the demonstrations that train every answer in a conversation of two to four, with all thinking kept
    whole_conversations: float = Field(default=0.0, ge=0, le=1)
    copies: float = Field(default=0.0, ge=0, lt=1)  # share of the documents that copy random tokens
    tasks: dict[str, TaskShare] = {}
    styles: Styles = {"full": 1.0}


class Evaluation(Strict):
    """Held-out text and tasks. The tasks are sampled as in RL, after every stage that trains on conversations."""

    # mixture of the held-out rows, half of which are real text; defaults to that of the first stage
    data: str = ""
    seq_len: int = Field(default=512, gt=1)  # tokens per held-out row
    # whether to measure decode cost and indexer selections of the model saved as `model`, for the report
    figures: bool = False
    attempts: int = Field(default=64, gt=0)  # tasks per difficulty and family
    tasks: dict[str, tuple[int, ...]] = {}
    # hard tasks for Speciale; evaluated too, but not part of a domain's score
    hard: dict[str, tuple[int, ...]] = {}
    task_files: int = Field(default=256, gt=0)  # at most this many held-out tasks from task_files
    mode: Literal["thinking", "chat"] = "thinking"
    max_tokens: int = Field(default=128, gt=0)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
