"""The recipes that ship inside the package, by name."""

import difflib
from pathlib import Path

from baleen.config.errors import UsageError

_FOLDER = Path(__file__).parents[1] / "recipes"


def shipped() -> list[str]:
    """Names of the recipes that ship: what `--recipe` and `extends` take besides a path."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def find_recipe(given: str | Path, beside: Path = Path()) -> Path:
    """The file that `given` means: a shipped recipe's name, or a path, relative ones below `beside`.

    Raises UsageError for a single word that is neither.
    """
    name, path = str(given), beside / given
    if name in shipped():
        return _FOLDER / f"{name}.toml"
    if "." not in name and "/" not in name and not path.exists():
        near = difflib.get_close_matches(name, shipped(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no recipe {name!r}; {hint}{choices()}")
    return path


def choices() -> str:
    """What a recipe can be, for the end of an error."""
    return f"give the path of a .toml file, or one of: {', '.join(shipped())}"
