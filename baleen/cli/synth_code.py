"""`baleen synth code`: tasks from the repositories of packages, or from your own, judged by their test suites."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from baleen.agent.model import ChatModel, ModelFailure
from baleen.cli.options import require_at_least
from baleen.cli.synth_run import SynthOptions, run_synthesis
from baleen.config import UsageError, UserError
from baleen.environments import ToolFailure
from baleen.synthesis.code import (
    Base,
    Judge,
    ModelAgent,
    ReleaseWork,
    ScriptedAgent,
    SourceError,
    candidates,
    fetch,
    newest_pairs,
    open_base,
    own_folder,
    pairs_between,
)


@dataclass(frozen=True, kw_only=True)
class SynthCodeOptions(SynthOptions):
    """Make code tasks: a repository with a fault, its issue, and the tests that judge what a solver does."""

    package: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME[==VERSION]")] = ()
    """Packages of the Python Package Index, from their source distributions."""

    repo: tuple[Path, ...] = ()
    """Folders of your own repositories: Python (pytest), JavaScript (node --test), C and C++ (CTest)."""

    mutants: int = 40
    """How many mutants to try for each package or repository."""

    release_pairs: int = 0
    """How many pairs of consecutive releases to try for each package, the newest first."""

    releases: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME==OLD..NEW")] = ()
    """Spans of releases whose consecutive pairs are tried."""

    written: int = 0
    """How many bugs a model writes for each package or repository; needs --base-url and --model."""

    model_issues: bool = False
    """Let the model write the issues of mutants; otherwise they are made from the failing tests."""

    model_setup: bool = False
    """Let the model find out how a test suite is run; otherwise a script does."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen synth code`. Returns the exit code. Raises UserError, OSError."""
    options = tyro.cli(SynthCodeOptions, args=list(argv), prog="baleen synth code")
    _check(options)
    try:
        return _run(options, options.open())
    except (SourceError, ModelFailure, ToolFailure) as error:
        raise UserError(str(error)) from error


def _run(options: SynthCodeOptions, model: ChatModel | None) -> int:
    assets = options.out / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    agent = ModelAgent(model) if model is not None and options.model_setup else ScriptedAgent()
    packages = [fetch(*_pinned(word), assets) for word in options.package]
    packages += [own_folder(path) for path in options.repo]
    bases = [_told(open_base(package, assets, agent)) for package in packages]
    return run_synthesis(
        "code",
        options,
        _settings(options, model),
        candidates(bases, options.mutants, options.written, _pairs(options, assets), options.seed),
        Judge(assets, agent, model, options.model_issues),
    )


def _check(options: SynthCodeOptions) -> None:
    if not (options.package or options.repo or options.releases):
        raise UsageError(
            "nothing to work on; give --package NAME, --repo FOLDER or --releases NAME==OLD..NEW"
        )
    require_at_least(0, options, "mutants", "release_pairs", "written")
    for name in ("written", "model_issues", "model_setup"):
        if getattr(options, name) and options.base_url is None:
            raise UsageError(f"--{name.replace('_', '-')} needs a model; give --base-url and --model")
    for path in options.repo:
        if not path.is_dir():
            raise UsageError(f"--repo {path} is not a folder")


def _pinned(word: str) -> tuple[str, str | None]:
    name, _, version = word.partition("==")
    return name, version or None


def _pairs(options: SynthCodeOptions, assets: Path) -> list[ReleaseWork]:
    pairs = [pair for text in options.releases for pair in pairs_between(text, assets)]
    for word in options.package:
        pairs += newest_pairs(_pinned(word)[0], options.release_pairs, assets)
    return list(dict.fromkeys(pairs))


def _told(base: Base) -> Base:
    setup = base.setup
    found = (
        setup.reason or f"{len(setup.passing)} tests pass with {setup.recipe.runner} in {setup.seconds:.1f} s"
    )
    print(f"{base.package.key}: {found}", flush=True)
    return base


def _settings(options: SynthCodeOptions, model: ChatModel | None) -> dict[str, object]:
    return {
        "package": list(options.package),
        "repo": [str(path.resolve()) for path in options.repo],
        "mutants": options.mutants,
        "release_pairs": options.release_pairs,
        "releases": list(options.releases),
        "written": options.written,
        "model_issues": options.model_issues,
        "model": model.name if model is not None else "",
    }
