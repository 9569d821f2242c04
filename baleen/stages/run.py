"""Run a recipe from Python; `baleen train` is the same from the command line."""

from collections.abc import Sequence
from pathlib import Path

from baleen.config.recipe import Recipe, load_recipe
from baleen.config.shipped import find_recipe
from baleen.runs.clean_stop import CleanStop
from baleen.runs.run_folder import RunFolder
from baleen.stages.listener import StageListener
from baleen.stages.pipeline import Pipeline
from baleen.stages.preparation import check_run


def train_recipe(
    recipe: Recipe | str | Path,
    out: str | Path,
    stages: Sequence[str] = (),
    threads: int = 2,
    listener: StageListener | None = None,
) -> Path:
    """Run the stages of a recipe. The same call resumes a run.

    Args:
        recipe: a recipe, the path of a .toml file, or the name of a recipe that ships.
        out: folder of the run.
        stages: names of the stages to run; all by default.
        threads: workers, one core each.
        listener: receives the progress.

    Returns:
        The folder of the run.

    Raises:
        UserError: the recipe cannot run; nothing has been written.
        Stopped: Ctrl-C or SIGTERM, after the current step has been saved.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(find_recipe(recipe))
    run = check_run(Path(out), recipe, stages or recipe.names)
    run.make_folder()
    with (
        RunFolder(run.out, recipe, seed=recipe.seed, threads=threads) as folder,
        CleanStop() as stop,
    ):
        pipeline = Pipeline(recipe, folder, listener or StageListener(), threads, run.inputs, stop)
        pipeline.run(run.stages)
    return run.out
