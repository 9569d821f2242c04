"""`baleen synth interpreter`: problems whose checked answer needs computation, confirmed in the sandbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from baleen.cli.model_options import ModelOptions
from baleen.cli.synth_run import SynthOptions, run_synthesis
from baleen.config import UsageError
from baleen.synthesis import read_verdicts


@dataclass(frozen=True, kw_only=True)
class InterpreterOptions(SynthOptions):
    """Make interpreter tasks: generated families, or the questions of a file. A model, if one is named, tries them."""

    per_level: int = 10
    """Candidates of each family and difficulty."""

    families: tuple[str, ...] = ()
    """Names of families; all of them if not given."""

    difficulties: tuple[int, ...] = (1, 2, 3, 4)
    """Difficulties, from 1 to 4."""

    questions: Path | None = None
    """A JSONL file of {"question", "answer"} to use instead of the families; GSM8K's "#### 18" is understood."""

    attempts: int = 4
    """With a model: how often it tries each problem with the tool, and as often without. Kept is what it solves
    with the tool at least once and without it never."""

    temperature: float = 1.0
    """With a model: of its attempts."""

    solver: Annotated[ModelOptions, tyro.conf.arg(name="")] = ModelOptions()


def main(argv: Sequence[str]) -> int:
    """Run the command. Raises UserError, ToolFailure, OSError."""
    options = tyro.cli(InterpreterOptions, args=list(argv), prog="baleen synth interpreter")
    from baleen.synthesis.interpreter import (
        DIFFICULTIES,
        FAMILIES,
        Judge,
        Kernels,
        Solver,
        generated,
        questions,
    )

    for name in options.families:
        if name not in FAMILIES:
            raise UsageError(f"--families names {name!r}; it must be one of {', '.join(FAMILIES)}")
    for difficulty in options.difficulties:
        if difficulty not in DIFFICULTIES:
            raise UsageError(f"--difficulties has {difficulty}; they go from 1 to {DIFFICULTIES[-1]}")
    for name in ("per_level", "attempts", "workers"):
        if getattr(options, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be 1 or more")
    names = options.families or tuple(FAMILIES)
    total = len(names) * len(options.difficulties) * options.per_level
    if options.questions is None:
        candidates = generated(options.seed, names, options.difficulties, options.per_level)
    else:
        with open(options.questions, encoding="utf-8") as file:
            total = sum(bool(line.strip()) for line in file)
        candidates = questions(options.questions)
    model = options.solver.open()
    solver = Solver(model, options.attempts, temperature=options.temperature) if model else None
    settings = {
        "families": names,
        "difficulties": options.difficulties,
        "questions": options.questions and str(options.questions.resolve()),
        "attempts": options.attempts if model else None,
        "temperature": options.temperature if model else None,
        **options.solver.settings(),
    }
    with Kernels(options.workers) as kernels:
        code = run_synthesis("interpreter", options, settings, candidates, Judge(kernels, solver), total)
    if solver is not None:
        print(_solved_line(options.out))
    return code


def _solved_line(out: Path) -> str:
    from baleen.evaluation.intervals import wilson

    tried = [v.facts for v in read_verdicts(out) if v.tasks and "solved" in v.facts]
    solved, attempts = (sum(facts[name] for facts in tried) for name in ("solved", "attempts"))
    rate = wilson(solved, attempts)
    return (
        f"the model solved {solved} of {attempts} attempts at the kept problems: {rate.estimate:.0%}, "
        f"95 % interval {rate.low:.0%} to {rate.high:.0%}"
    )
