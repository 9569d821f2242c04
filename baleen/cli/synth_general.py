"""`baleen synth general`: environments of a database and tools, with tasks that get harder step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro

from baleen.cli.options import require_at_least, require_known
from baleen.cli.synth_run import SynthOptions, run_synthesis
from baleen.config import UsageError, UserError


@dataclass(frozen=True, kw_only=True)
class GeneralOptions(SynthOptions):
    """Make general tasks: a database, tools, a question, a solution that only calls tools, a verification."""

    environments: int = 170
    """How many environments to begin, spread evenly over the domains."""

    author: Literal["scripted", "model"] = "scripted"
    """Who writes them: seeded generators that ship with Baleen, or the model at --base-url."""

    domains: tuple[str, ...] = ()
    """Domains of the scripted author; all if not given."""

    tools: Annotated[Literal["python", "sql"], tyro.conf.arg(name="tool-language", aliases=["--tools"])] = (
        "python"
    )
    """What a model writes tools in: Python functions, which run in the sandbox, or SQL, which is fast in training."""

    levels: int = 5
    """Most tasks per environment, each harder than the one before."""

    repairs: int = 4
    """How often a rejected task may be repaired."""

    attempts: int = 0
    """How often the model at --base-url tries each task; kept is what it solves sometimes but not always."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen synth general`. Returns the exit code. Raises UserError, OSError."""
    options = tyro.cli(GeneralOptions, args=list(argv), prog="baleen synth general")
    from baleen.environments.general import DOMAINS
    from baleen.synthesis.general import Plan, judge
    from baleen.synthesis.general.authors import model_candidates, scripted_candidates

    _check(options, list(DOMAINS))
    model = options.open()
    if model is None and (options.author == "model" or options.attempts):
        what = "--author model" if options.author == "model" else "--attempts"
        raise UsageError(f"{what} needs a model; give --base-url and --model")
    _require_sandbox()
    count, seed = options.environments, options.seed
    if options.author == "scripted":
        domains = list(options.domains or DOMAINS)
        candidates = scripted_candidates(count, seed, domains, options.levels)
    else:
        assert model is not None
        candidates = model_candidates(count, seed, model, options.tools)
    plan = Plan(options.levels, options.repairs, model, options.attempts)
    names = ("environments", "author", "domains", "tools", "levels", "repairs", "attempts")
    settings = {name: getattr(options, name) for name in names} | options.settings()
    code = run_synthesis("general", options, settings, candidates, partial(judge, plan=plan), count)
    _tell(options.out)
    return code


def _check(options: GeneralOptions, known: Sequence[str]) -> None:
    require_at_least(1, options, "environments", "levels", "workers")
    require_at_least(0, options, "repairs", "attempts")
    require_known("domains", options.domains, known)
    if options.domains and options.author == "model":
        raise UsageError("--domains belongs to --author scripted; a model chooses its own")


def _require_sandbox() -> None:
    from baleen.environments.sandbox import Sandbox, SandboxUnavailable

    try:
        Sandbox()
    except SandboxUnavailable as error:
        raise UserError(f"solutions are checked in the sandbox: {error}") from None


def _tell(folder: Path) -> None:
    """Print what the table of yields does not say: tasks by difficulty, wrong outcomes refused, pass@k."""
    from baleen.report import synthesis_figures
    from baleen.synthesis import read_verdicts

    verdicts = read_verdicts(folder)
    levels = synthesis_figures.tasks_by_difficulty(verdicts)
    print("  tasks by difficulty: " + ", ".join(f"{level}: {count}" for level, count in levels.items()))
    print(f"  wrong outcomes refused: {synthesis_figures.refused_outcomes(verdicts)}")
    if rejected := synthesis_figures.rejected_proposals(verdicts):
        print("  proposals rejected: " + ", ".join(f"{n} {why}" for why, n in rejected.most_common()))
    tried, rates = synthesis_figures.pass_rates(verdicts)
    for k, rate in rates.items():
        interval = f"95% {rate.low:.3f} to {rate.high:.3f}"
        print(f"  pass@{k} of {tried} tried tasks: {rate.estimate:.3f} ({interval})")
