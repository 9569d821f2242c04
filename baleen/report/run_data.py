"""A run folder as plain records: all that the report knows, read once."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baleen.config.errors import UserError
from baleen.config.model import ModelConfig
from baleen.config.recipe import Recipe, load_recipe
from baleen.config.stages import RLStage
from baleen.cost.prices import price_of
from baleen.evaluation.intervals import Interval, wilson
from baleen.report.recipe_facts import model_config
from baleen.runs.jsonl import read_lines

_DOMAINS = ("math", "logic", "tool")  # in this order; others follow as they come
CHECK_STATES = ("passed", "uncertain", "failed")


@dataclass(frozen=True)
class Check:
    """What a stage must show: `found.estimate` `relation` `bound`.

    Attributes:
        stage: name of the stage.
        name: what was measured.
        found: the figure; its bounds are nan if it has no interval.
        relation: ">", ">=" or "<=".
        bound: what it is compared with.
        state: "passed", "uncertain" (the interval contains the bound) or "failed".
        n: held-out items that were measured.
        n_needed: about how many would decide an uncertain check.
        hint: what to do if it fails.
    """

    stage: str
    name: str
    found: Interval
    relation: str
    bound: float
    state: str
    n: int | None
    n_needed: int | None
    hint: str


@dataclass(frozen=True)
class Evaluated:
    """One kind of task, evaluated after one stage. Token counts are means per attempt, summed over its turns.

    Attributes:
        n: attempts.
        correct: how many of them solved their task.
        hard: whether it is one of the hard tasks of Speciale, which are not part of their domain's score.
    """

    domain: str
    family: str
    difficulty: int
    mode: str
    n: int
    correct: float
    think_tokens: float
    completion_tokens: float
    prompt_tokens: float
    cached_tokens: float = 0.0
    hard: bool = False

    @property
    def accuracy(self) -> Interval:
        """Share of the attempts that solved their task, with its 95 % interval."""
        return wilson(self.correct, self.n)

    @property
    def dollars(self) -> float:
        """Dollars per attempt at DeepSeek-V3.2's list price."""
        return price_of(self.prompt_tokens, self.cached_tokens, self.completion_tokens)


@dataclass(frozen=True)
class StageResult:
    """What a finished stage recorded.

    Attributes:
        expert_load: share of the routed tokens, per MoE layer and expert.
        answers: for each held-out task, in one order for all stages, whether it was solved and the tokens of thinking.
        domains: those that an RL stage practiced.
        budgets: accuracy before and after the stage if answers longer than a budget of tokens count as wrong.
    """

    name: str
    seconds: float
    steps: int
    tokens: int
    bits_per_byte: float
    summary: Mapping[str, Any]
    checks: tuple[Check, ...]
    evals: tuple[Evaluated, ...]
    expert_load: Sequence[Sequence[float]]
    samples: Sequence[Mapping[str, Any]]
    answers: Sequence[Mapping[str, Any]]
    domains: tuple[str, ...]
    budgets: Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        metrics: the lines of each stage.
        stages: the results of the stages that have finished.
        cost: times of a decode step; None if not measured yet.
        selection: what the indexer selects; None if not measured yet.
        files: paths inside the folder to which the report may link.
    """

    name: str
    environment: Mapping[str, Any]
    resolved: str
    recipe: Recipe
    config: ModelConfig
    metrics: Mapping[str, Sequence[Mapping[str, Any]]]
    stages: Mapping[str, StageResult]
    cost: Mapping[str, Any] | None = field(repr=False)
    selection: Mapping[str, Any] | None = field(repr=False)
    files: Sequence[str] = field(repr=False)

    @property
    def checks(self) -> list[Check]:
        """The checks of all stages."""
        return [check for stage in self.stages.values() for check in stage.checks]

    @property
    def titles(self) -> dict[str, str]:
        """Every stage in the order it runs, with its name for people."""
        return {stage.name: stage.heading for stage in self.recipe.stages}

    @property
    def domains(self) -> list[str]:
        """The domains of the tasks that were asked."""
        found = {row.domain: None for stage in self.stages.values() for row in stage.evals}
        return [*(d for d in _DOMAINS if d in found), *(d for d in found if d not in _DOMAINS)]

    def of_kind(self, *kinds: str) -> list[str]:
        """The recipe's stages of these kinds."""
        return [stage.name for stage in self.recipe.stages if stage.kind in kinds]

    def judged_on(self, what: str) -> list[str]:
        """The RL stages judged on their "own" domains (specialists), "all" tasks (mixed) or "hard" ones (Speciale)."""
        return [s.name for s in self.recipe.stages if isinstance(s, RLStage) and s.judged_on == what]

    def curve(self, stage: str, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of a metric, where it was recorded and is finite."""
        points = [(line["step"], line.get(name)) for line in self.metrics.get(stage, ())]
        known = [(step, float(value)) for step, value in points if value is not None]
        return [step for step, _ in known], [value for _, value in known]


def pool(rows: Sequence[Evaluated]) -> Evaluated:
    """Merge rows of one domain and mode: counts are added, token means weighted by attempts."""
    n = sum(row.n for row in rows)

    def mean(name: str) -> float:
        return sum(getattr(row, name) * row.n for row in rows) / max(n, 1)

    return Evaluated(
        domain=rows[0].domain,
        family="",
        difficulty=0,
        mode=rows[0].mode,
        n=n,
        correct=sum(row.correct for row in rows),
        think_tokens=mean("think_tokens"),
        completion_tokens=mean("completion_tokens"),
        prompt_tokens=mean("prompt_tokens"),
        cached_tokens=mean("cached_tokens"),
    )


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        UserError: it holds no run, or a file in it is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give the folder of a run, as runs/quickstart")
    if not (folder / "resolved.toml").exists():
        raise UserError(
            f"{folder} holds no run (resolved.toml is missing); give a folder like runs/quickstart"
        )
    resolved = (folder / "resolved.toml").read_text(encoding="utf-8")
    recipe = load_recipe(folder / "resolved.toml")
    stages = {name: _read_stage(folder / "stages" / f"{name}.json", name) for name in recipe.names}
    return Run(
        name=folder.resolve().name,
        environment=_read_json(folder / "environment.json") or {},
        resolved=resolved,
        recipe=recipe,
        config=model_config(folder, recipe),
        metrics=_read_metrics(folder / "metrics.jsonl"),
        stages={name: stage for name, stage in stages.items() if stage is not None},
        cost=_read_json(folder / "cost.json"),
        selection=_read_json(folder / "selection.json"),
        files=[path for path in _linked(recipe) if (folder / path).exists()],
    )


def _linked(recipe: Recipe) -> list[str]:
    """What a run's folder may hold that the report links to."""
    found = ["resolved.toml", "environment.json", "log.txt", "metrics.jsonl"]
    found += [f"stages/{name}.json" for name in recipe.names]
    return [*found, "cost.json", "selection.json", *(f"{s.save_as}/" for s in recipe.stages if s.save_as)]


def _read_stage(path: Path, name: str) -> StageResult | None:
    values = _read_json(path)
    if values is None:
        return None
    try:
        return StageResult(
            name=name,
            seconds=_number(values.get("seconds"), 0.0),
            steps=int(_number(values.get("steps"), 0)),
            tokens=int(_number(values.get("tokens"), 0)),
            bits_per_byte=_number(values.get("bits_per_byte"), math.nan),
            summary=values.get("summary") or {},
            checks=tuple(_check(check, name) for check in values.get("checks") or ()),
            evals=tuple(_evaluated(row) for row in values.get("evals") or ()),
            expert_load=values.get("expert_load") or (),
            samples=values.get("samples") or (),
            answers=values.get("answers") or (),
            domains=tuple(values.get("domains") or ()),
            budgets=values.get("budgets") or (),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} lacks what a stage records ({error!r}); run the stage again") from None


def _check(values: Mapping[str, Any], stage: str) -> Check:
    if values["state"] not in CHECK_STATES:
        raise ValueError(f"state {values['state']!r}")
    return Check(
        stage=stage,
        name=values["name"],
        found=Interval(*(_number(values.get(name), math.nan) for name in ("estimate", "low", "high"))),
        relation=values["relation"],
        bound=_number(values["bound"], math.nan),
        state=values["state"],
        n=values.get("n"),
        n_needed=values.get("n_needed"),
        hint=values.get("hint") or "",
    )


def _evaluated(row: Mapping[str, Any]) -> Evaluated:
    return Evaluated(
        domain=row["domain"],
        family=row["family"],
        difficulty=int(row["difficulty"]),
        mode=row.get("mode", "thinking"),
        n=int(row["n"]),
        correct=float(row["correct"]),
        think_tokens=_number(row.get("think_tokens"), 0.0),
        completion_tokens=_number(row.get("completion_tokens"), 0.0),
        prompt_tokens=_number(row.get("prompt_tokens"), 0.0),
        cached_tokens=_number(row.get("cached_tokens"), 0.0),
        hard=bool(row.get("hard")),
    )


def _number(value: Any, otherwise: float) -> float:
    return otherwise if value is None else float(value)


def _read_metrics(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Lines by stage. The last line may be half written by a run that is going on: it is left out."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for line in read_lines(path, ("stage", "step")):
        grouped.setdefault(line["stage"], []).append(line)
    return grouped


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{path} is not valid JSON; run the stage that writes it again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} does not hold a JSON object; run the stage that writes it again")
    return values
