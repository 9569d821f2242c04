"""The inputs of a run, read and checked before anything is written."""

from dataclasses import dataclass
from pathlib import Path

from baleen.config.errors import UserError
from baleen.config.recipe import Recipe, is_asked
from baleen.data import Corpus, load_corpus
from baleen.stages.batches import TaskFiles
from baleen.stages.curriculum import check_tasks
from baleen.stages.start import check_starts


@dataclass(frozen=True)
class Inputs:
    """The text and the task files of a recipe."""

    corpus: Corpus
    files: TaskFiles


def checked_inputs(recipe: Recipe) -> Inputs:
    """Read the inputs of a recipe and check its starting models, tokenizers and tasks. Raises UserError."""
    check_starts(recipe)
    check_tasks(recipe)
    files = TaskFiles(recipe)
    held_out = (recipe.evaluation.tasks, recipe.evaluation.hard, files.held_out)
    if any(map(is_asked, recipe.stages)) and not any(held_out):
        raise UserError("no task is held out; give --tasks with tasks of split heldout, or evaluation.tasks")
    text = Path(recipe.text) if recipe.text else None
    return Inputs(load_corpus(text, recipe.text_bytes, recipe.library_text), files)
