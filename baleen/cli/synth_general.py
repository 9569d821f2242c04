"""`baleen synth general`: environments of a database and tools, with tasks that get harder step by step."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from baleen.cli.model_options import ModelOptions
from baleen.cli.synth_run import SynthOptions, run_synthesis
from baleen.config import UsageError, UserError

if TYPE_CHECKING:
    from baleen.agent import ChatModel
    from baleen.synthesis import Candidate, Verdict
    from baleen.synthesis.general import Author


@dataclass(frozen=True, kw_only=True)
class GeneralOptions(SynthOptions):
    """Make general tasks: a database, tools, a question, a solution that only calls tools, a verification."""

    environments: int = 170
    """Environments to begin, shared out over the domains."""

    author: Literal["scripted", "model"] = "scripted"
    """Who writes them: seeded generators that ship with Baleen, or the model at --base-url."""

    domains: tuple[str, ...] = ()
    """Domains of the scripted author; all if not given."""

    tools: Annotated[Literal["python", "sql"], tyro.conf.arg(name="tool-language", aliases=["--tools"])] = (
        "python"
    )
    """What a model writes tools in: Python functions, which run in the sandbox, or SQL, which is fast in training."""

    levels: int = 5
    """Tasks per environment at most, each harder than the one before."""

    repairs: int = 4
    """Tries to mend a rejected task."""

    attempts: int = 0
    """How often the model at --base-url tries each task; kept is what it solves sometimes but not always."""

    endpoint: tyro.conf.OmitArgPrefixes[ModelOptions] = field(default_factory=ModelOptions)


def main(argv: Sequence[str]) -> int:
    """Run the command. Returns the exit code. Raises UserError, OSError."""
    options = tyro.cli(GeneralOptions, args=list(argv), prog="baleen synth general")
    from baleen.environments.general import DOMAINS
    from baleen.synthesis.general import Plan, judge

    _check(options, list(DOMAINS))
    model = options.endpoint.open()
    if model is None and (options.author == "model" or options.attempts):
        what = "--author model" if options.author == "model" else "--attempts"
        raise UsageError(f"{what} needs a model; name one with --base-url and --model")
    _require_sandbox()
    plan = Plan(options.levels, options.repairs, model, options.attempts)
    settings = {
        "environments": options.environments,
        "author": options.author,
        "domains": list(options.domains),
        "tools": options.tools,
        "levels": options.levels,
        "repairs": options.repairs,
        "attempts": options.attempts,
        **options.endpoint.settings(),
    }
    code = run_synthesis(
        "general",
        options,
        settings,
        _candidates(options, list(options.domains or DOMAINS), model),
        partial(judge, plan=plan),
        total=options.environments,
    )
    _tell(options.out)
    return code


def _require_sandbox() -> None:
    from baleen.environments.sandbox import Sandbox, SandboxUnavailable

    try:
        Sandbox()
    except SandboxUnavailable as error:
        raise UserError(f"solutions are checked in the sandbox: {error}") from None


def _check(options: GeneralOptions, known: Sequence[str]) -> None:
    for name, least in (("environments", 1), ("levels", 1), ("repairs", 0), ("attempts", 0), ("workers", 1)):
        if getattr(options, name) < least:
            raise UsageError(f"--{name} is {getattr(options, name)}; it must be {least} or more")
    for domain in options.domains:
        if domain not in known:
            raise UsageError(f"--domains names {domain!r}; it must be of {', '.join(known)}")
    if options.domains and options.author == "model":
        raise UsageError("--domains belongs to --author scripted; a model chooses its own")


def _candidates(
    options: GeneralOptions, domains: Sequence[str], model: "ChatModel | None"
) -> Iterator["Candidate[Callable[[], Author]]"]:
    from baleen.synthesis import Candidate
    from baleen.synthesis.general import ModelAuthor, ScriptedAuthor

    for number in range(options.environments):
        seed = f"{options.seed}-{number}"
        make: Callable[[], Author]
        if options.author == "model":
            assert model is not None
            group, make = "model", partial(ModelAuthor, model, seed, options.tools)
        else:
            group = domains[number % len(domains)]
            make = partial(ScriptedAuthor, group, seed, options.levels)
        yield Candidate(f"{group}-{number:05d}", group, make)


def _tell(folder: Path) -> None:
    """What the table of yields does not say: tasks by difficulty, wrong outcomes refused, pass@k."""
    from baleen.synthesis import read_verdicts

    verdicts = read_verdicts(folder)
    levels = Counter(level for verdict in verdicts for level in verdict.facts["levels"])
    rejected = sum((Counter(verdict.facts["rejected"]) for verdict in verdicts), Counter[str]())
    print("  tasks by difficulty: " + ", ".join(f"{level}: {levels[level]}" for level in sorted(levels)))
    print(f"  wrong outcomes refused: {sum(verdict.facts['mutants'] for verdict in verdicts)}")
    if rejected:
        print("  proposals rejected: " + ", ".join(f"{n} {why}" for why, n in rejected.most_common()))
    _tell_attempts(verdicts)


def _tell_attempts(verdicts: "Sequence[Verdict]") -> None:
    from baleen.evaluation.attempts import pass_at_k
    from baleen.evaluation.intervals import bootstrap_mean

    made: list[Any] = [row for verdict in verdicts for row in verdict.facts["attempts"] if row["made"]]
    if not made:
        return
    k = min(row["made"] for row in made)
    for each in sorted({1, k}):
        values = [pass_at_k(row["made"], row["solved"], each) for row in made]
        found = bootstrap_mean(values)
        print(
            f"  pass@{each} of {len(made)} tried tasks: {found.estimate:.3f} (95% {found.low:.3f} to {found.high:.3f})"
        )
