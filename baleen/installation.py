"""How Baleen is installed here, and so what to type to install more of it."""

import os
import sys
from pathlib import Path

DISTRIBUTION = "baleen-llm"  # to pip; `baleen` on PyPI is an unrelated project


def install_command(extra: str = "") -> str:
    """The command that installs the packages Baleen needs, and those of `extra`, for the Python that runs.

    In a checkout it installs the checkout again, elsewhere the distribution of that name.
    """
    root, wanted = Path(__file__).resolve().parents[1], f"[{extra}]" if extra else ""
    if (root / "pyproject.toml").is_file():
        where = "." if root == Path.cwd() else str(root)
        return f"{_python()} -m pip install -e '{where}{wanted}'"
    return f"{_python()} -m pip install '{DISTRIBUTION}{wanted}'"


def _python() -> str:
    """This interpreter as one would type it here: the `pip` that a shell finds may be another Python's."""
    near = os.path.relpath(sys.executable)
    return sys.executable if near.startswith("..") else near
