"""One call that runs a recipe, for Python; `baleen train` says more while it does the same."""

from collections.abc import Sequence
from pathlib import Path

from baleen.config.errors import UserError
from baleen.config.recipe import Recipe, is_asked, load_recipe
from baleen.config.shipped import find_recipe
from baleen.data import Corpus, load_corpus
from baleen.runs.clean_stop import CleanStop
from baleen.runs.run_folder import RunFolder
from baleen.stages.batches import TaskFiles
from baleen.stages.curriculum import check_tasks
from baleen.stages.listener import StageListener
from baleen.stages.pipeline import Pipeline
from baleen.stages.start import check_starts


class Silent:
    """A listener that says nothing."""

    def start_stage(self, name: str, total_steps: int) -> None: ...

    def skip_stage(self, name: str, passed: bool | None = True) -> None: ...

    def update(self, step: int, **scalars: float) -> None: ...

    def finish_stage(self, passed: bool | None, note: str = "") -> None: ...

    def message(self, text: str) -> None: ...


def train_recipe(
    recipe: Recipe | str | Path,
    out: str | Path,
    stages: Sequence[str] = (),
    threads: int = 2,
    listener: StageListener | None = None,
) -> Path:
    """Run a recipe's stages in the folder `out`; the same call resumes. Returns the folder.

    Args:
        recipe: a recipe, the path of a .toml file, or the name of a recipe that ships.
        stages: only these; all by default.
        threads: workers, one core each.
        listener: told how it goes.

    Raises:
        UserError: what cannot be run, before anything is written.
        Stopped: Ctrl-C or SIGTERM, once the step under way is saved.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(find_recipe(recipe))
    corpus = checked(recipe)
    with (
        RunFolder(Path(out), recipe, seed=recipe.seed, threads=threads) as folder,
        CleanStop() as stop,
    ):
        pipeline = Pipeline(recipe, folder, listener or Silent(), threads, corpus, stop)
        pipeline.run(list(stages) or recipe.names)
    return Path(out)


def checked(recipe: Recipe) -> Corpus:
    """The recipe's text. Raises UserError for what cannot work: models, tokenizers, tasks, text."""
    check_starts(recipe)
    check_tasks(recipe)
    held_out = (recipe.evaluation.tasks, recipe.evaluation.hard, TaskFiles(recipe).held_out)
    if any(map(is_asked, recipe.stages)) and not any(held_out):
        raise UserError("no task is held out; give --tasks with tasks of split heldout, or evaluation.tasks")
    return load_corpus(Path(recipe.text) if recipe.text else None, recipe.text_bytes, recipe.library_text)
