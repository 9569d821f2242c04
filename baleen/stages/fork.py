"""A run that begins where another stands: `--from RUN[:STAGE]` shares the stages that the changes leave as they are.

A fork ends as a run from the start with the same recipe would, with one exception: its tokenizer is the other run's,
also where `data.chat`, from which it was learned, has changed.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from baleen.config.errors import UsageError, UserError, nearest
from baleen.config.recipe import Recipe, load_recipe
from baleen.config.toml_file import dump_toml
from baleen.runs.files import write_atomic
from baleen.runs.jsonl import read_lines
from baleen.stages.pipeline import exports


@dataclass(frozen=True)
class Source:
    """The run to begin from. last: the last stage to share; None for all that stand."""

    folder: Path
    last: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Source":
        """Of RUN or RUN:STAGE. Raises UsageError where there is no run, or no such stage."""
        folder, colon, stage = text.rpartition(":")
        if not colon or Path(text).exists():
            folder, stage = text, ""
        if not (Path(folder) / "resolved.toml").exists():
            raise UsageError(f"--from {text}: {folder} holds no run; give a run's folder, as runs/quickstart")
        names = load_recipe(Path(folder) / "resolved.toml").names
        if stage and stage not in names:
            raise UsageError(f"--from {text}: there is no stage {stage!r}; {nearest(stage, names)}")
        return cls(Path(folder), stage or None)

    def shared(self, recipe: Recipe) -> list[str]:
        """The finished stages that a run of `recipe` would repeat. Raises UsageError for none, UserError."""
        before = load_recipe(self.folder / "resolved.toml")
        then, now = before.flat(), recipe.flat()
        changes = [key for key in {**then, **now} if then.get(key) != now.get(key)]
        finished = [stage for stage in before.names if self._has_finished(stage)]
        wanted = [name for name in before.names if name in recipe.names]
        if self.last:
            wanted = wanted[: wanted.index(self.last) + 1]
            if self.last not in finished:
                raise UsageError(
                    f"{self.folder} has not finished {self.last}; finished: {', '.join(finished) or 'none'}"
                )
            for key in changes:
                if touched := (before.affected([key]) | recipe.affected([key])) & set(wanted):
                    first = min(touched, key=wanted.index)
                    raise UsageError(
                        f"{key} = {now.get(key)!r} changes {first}, which {self.folder} ran with "
                        f"{then.get(key)!r}: nothing from {first} on can be shared; leave out :{self.last}, "
                        f"or name an earlier stage"
                    )
        changed = before.affected(changes) | recipe.affected(changes)
        found: list[str] = []
        for stage in wanted:
            if stage in finished and stage not in changed and set(recipe.needs(stage)) <= set(found):
                found.append(stage)
        if not found:
            why = f"{changes[0]} changes all of them" if changes and finished else "none has finished"
            raise UsageError(f"no stage of {self.folder} can be shared: {why}; leave out --from")
        return found

    def _has_finished(self, stage: str) -> bool:
        path = self.folder / "stages" / f"{stage}.json"
        if not path.exists() or not (self.folder / "checkpoints" / stage).is_dir():
            return False
        try:
            known = "checks" in json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise UserError(f"{path} is damaged; delete it to run the stage again") from None
        if not known:
            raise UserError(f"{path} was written by another version of Baleen; its run cannot be forked")
        return True


def make_fork(source: Source, recipe: Recipe, shared: Sequence[str], out: Path) -> None:
    """Make the run folder `out` with the `shared` stages, whole or not at all; `source` stays as it is.

    Checkpoints are linked where the disk allows it: neither run ever writes into one. Raises UsageError where `out`
    holds something, OSError.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} holds something that is no run; choose a new or empty folder with --out")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        (partial / "stages").mkdir()
        for stage in shared:
            _link_tree(source.folder, partial, Path("checkpoints", stage))
            shutil.copyfile(*(run / "stages" / f"{stage}.json" for run in (source.folder, partial)))
            for name in exports(recipe, recipe.stage(stage)):
                if (source.folder / name).is_dir():
                    shutil.copytree(source.folder / name, partial / name)
                elif (source.folder / name).exists():
                    shutil.copyfile(source.folder / name, partial / name)
        _link_tree(source.folder, partial, Path("checkpoints", "tokenizer"))
        lines = read_lines(source.folder / "metrics.jsonl", ("stage", "step"))
        kept = (json.dumps(line) + "\n" for line in lines if line["stage"] in shared)
        write_atomic(partial / "metrics.jsonl", "".join(kept))
        if (source.folder / "environment.json").exists():  # of the sessions that ran the shared stages
            shutil.copyfile(source.folder / "environment.json", partial / "environment.json")
        write_atomic(partial / "resolved.toml", dump_toml(recipe))
        os.rename(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _link_tree(source: Path, target: Path, inside: Path) -> None:
    shutil.copytree(source / inside, target / inside, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
