"""Worlds that agents are trained and tested in: tasks with exact checkers, tools, demonstrations."""

from baleen.environments.registry import (
    FAMILIES,
    demonstrate,
    domain_of,
    environment_for,
    families_of,
    family_of,
    near_miss,
    plain_text,
    sample_task,
    scripted_solution,
)
from baleen.environments.task import (
    SPLITS,
    STYLES,
    Domain,
    Environment,
    Split,
    Style,
    Task,
    TaskError,
    ToolFailure,
    read_tasks,
)
from baleen.environments.toy.conversations import follow_up, sample_conversation

__all__ = [
    "FAMILIES",
    "SPLITS",
    "STYLES",
    "Domain",
    "Environment",
    "Split",
    "Style",
    "Task",
    "TaskError",
    "ToolFailure",
    "demonstrate",
    "domain_of",
    "environment_for",
    "families_of",
    "family_of",
    "follow_up",
    "near_miss",
    "plain_text",
    "read_tasks",
    "sample_conversation",
    "sample_task",
    "scripted_solution",
]
