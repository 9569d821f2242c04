"""What several tests of worlds start from."""

from pathlib import Path

import pytest

from tests.synthesis.code_repos import put_runtime


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The assets of code tasks; a test puts its trees there."""
    folder = tmp_path_factory.mktemp("assets")
    put_runtime(folder)
    return folder
