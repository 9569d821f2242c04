"""`baleen synth interpreter`: problems whose checked answer needs computation, confirmed in the sandbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from baleen.cli.options import require_at_least, require_known
from baleen.cli.synth_run import SynthOptions, run_synthesis
from baleen.report.synthesis_figures import solved_attempts
from baleen.synthesis import read_verdicts


@dataclass(frozen=True, kw_only=True)
class InterpreterOptions(SynthOptions):
    """Make interpreter tasks from generated families or the questions of a file. A model, if given, tries them."""

    per_level: int = 10
    """How many candidates of each family and difficulty."""

    families: tuple[str, ...] = ()
    """Families to draw from; all if not given."""

    difficulties: tuple[int, ...] = (1, 2, 3, 4)
    """Difficulties, from 1 to 4."""

    questions: Path | None = None
    """A JSONL file of {"question", "answer"} to use instead of the families; GSM8K's "#### 18" is understood."""

    attempts: int = 4
    """With a model: how often it tries each problem with the tool, and again without. Kept is what it solves at
    least once with the tool and never without."""

    temperature: float = 1.0
    """With a model: sampling temperature of its attempts."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen synth interpreter`. Returns the exit code. Raises UserError, ToolFailure, OSError."""
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

    require_known("families", options.families, FAMILIES)
    require_known("difficulties", options.difficulties, DIFFICULTIES)
    require_at_least(1, options, "per_level", "attempts", "workers")
    names = options.families or tuple(FAMILIES)
    total = len(names) * len(options.difficulties) * options.per_level
    if options.questions is None:
        candidates = generated(options.seed, names, options.difficulties, options.per_level)
    else:
        with open(options.questions, encoding="utf-8") as file:
            total = sum(bool(line.strip()) for line in file)
        candidates = questions(options.questions)
    model = options.open()
    solver = Solver(model, options.attempts, temperature=options.temperature) if model else None
    settings = {
        "families": names,
        "difficulties": options.difficulties,
        "questions": options.questions and str(options.questions.resolve()),
        "attempts": options.attempts if model else None,
        "temperature": options.temperature if model else None,
        **options.settings(),
    }
    with Kernels(options.workers) as kernels:
        code = run_synthesis("interpreter", options, settings, candidates, Judge(kernels, solver), total)
    if solver is not None:
        print(_solved_line(options.out))
    return code


def _solved_line(out: Path) -> str:
    solved, attempts, rate = solved_attempts(read_verdicts(out))
    return (
        f"the model solved {solved} of {attempts} attempts at the kept problems: {rate.estimate:.0%}, "
        f"95 % interval {rate.low:.0%} to {rate.high:.0%}"
    )
