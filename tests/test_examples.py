"""Every example runs as a user runs it, on a small model of random weights; the front door is lazy."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from baleen.chat import train_tokenizer
from baleen.config import ModelConfig
from baleen.model import Transformer, save_model

EXAMPLES = Path(__file__).parent.parent / "examples"
ARGUMENTS = {
    "generate": ["MODEL", "Add 3+4."],
    "tool_calls": [],
    "own_environment": ["MODEL"],
    "train_your_recipe": ["OUT"],
    "rl_on_your_tasks": ["MODEL", "OUT"],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer(["Add 7+5+9. Guess my number"] * 2, 300, folder)
    config = ModelConfig.preset("tiny", vocab_size=tokenizer.vocab_size)
    save_model(Transformer(config).initialize(torch.Generator().manual_seed(0)), folder)
    return folder


def test_each_is_tried() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_it_runs(name: str, model: Path, tmp_path: Path) -> None:
    places = {"MODEL": str(model), "OUT": str(tmp_path)}
    words = [places.get(word, word) for word in ARGUMENTS[name]]
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()


def test_the_front_door_costs_nothing_until_it_is_used() -> None:
    program = (
        "import sys, baleen\n"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "assert set(baleen.__all__) == set(dir(baleen))\n"
        "for name in baleen.__all__: getattr(baleen, name)\n"
        "import baleen.model\n"
        "assert baleen.load_model is baleen.model.load_model\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    import baleen

    with pytest.raises(AttributeError, match="no attribute 'load_modle'"):
        _ = baleen.load_modle
