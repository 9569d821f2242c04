"""A recipe from Python: what cannot run is refused before anything is written, as on the command line."""

from pathlib import Path

import pytest

from baleen.config import UsageError
from baleen.stages.run import train_recipe


@pytest.mark.parametrize(("stage", "says"), [("stf", "has 'stf'; known: "), ("sft", "has sft, which needs ")])
def test_stages_that_cannot_run_are_refused(tmp_path: Path, stage: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        train_recipe("smoke", tmp_path / "run", [stage])
    assert not (tmp_path / "run").exists()
