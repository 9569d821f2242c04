"""What commands share that serve a model: finding its folder, loading it, saying what computes, prices of a cost line.

torch is imported inside the functions, so that `--help` and mistakes in the options are answered at once.
"""

import gc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from baleen.cli.options import say
from baleen.config import ModelConfig, UserError
from baleen.config.engine import BackendName, WeightDtype

if TYPE_CHECKING:
    from baleen.chat import Tokenizer
    from baleen.engine import Engine
    from baleen.server import Prices

_FULL_LENGTH_ANSWERS = 4


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """How a model computes."""

    threads: int = 1
    """CPU threads for the model."""

    weights: Annotated[Literal["auto", WeightDtype], tyro.conf.arg(aliases=["--dtype"])] = "auto"
    """What numbers the weights have; auto keeps the checkpoint's own, any other name asks for the CPU kernels."""

    backend: BackendName = "auto"
    """auto: the compiled CPU kernels, or plain PyTorch where there is no C++ compiler; torch: plain PyTorch."""

    speculative: bool = False
    """Let the MTP layer guess a token ahead: the same answers, sooner where the guesses are right."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An engine with what is needed to speak to it. `max_model_len` is in tokens."""

    name: str
    engine: "Engine"
    tokenizer: "Tokenizer"
    max_model_len: int


def model_folder(path: Path) -> Path:
    """The folder with `config.json`: `path` itself, or `path/model` of a finished run. Raises UserError."""
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    if not path.exists():
        raise UserError(f"MODEL is {str(path)!r}, which does not exist; give a model folder or a run folder")
    raise UserError(
        f"MODEL is {str(path)!r}, which holds neither config.json nor model/config.json; "
        "give a model folder or the folder of a finished run"
    )


def model_name(folder: Path) -> str:
    """The name a model is served under: its folder's, or its run's if the folder is just `model`."""
    full = folder.resolve()
    return full.parent.name if full.name == "model" else full.name


def load(path: Path, max_running: int, max_model_len: int | None, compute: ComputeOptions) -> LoadedModel:
    """Load a model for generation. Raises UserError and OSError for a folder that is not one."""
    folder = model_folder(path)
    import torch

    from baleen.chat import ChatError, Tokenizer
    from baleen.config.engine import EngineConfig
    from baleen.engine import Engine

    torch.set_num_threads(usable_threads(compute.threads))
    if not (folder / "tokenizer.json").is_file():
        raise UserError(
            f"{folder} holds a model without tokenizer.json; copy that file from where the model came from"
        )
    try:
        tokenizer = Tokenizer.from_pretrained(folder)
    except ChatError as error:
        raise UserError(f"{folder / 'tokenizer.json'}: {error}") from error
    limit = ModelConfig.from_pretrained(folder).max_position_embeddings
    if max_model_len is not None and max_model_len > limit:
        raise UserError(
            f"max_model_len is {max_model_len}, this model's context is {limit} tokens; give at most that"
        )
    length = max_model_len or limit
    config = EngineConfig(
        max_num_seqs=max_running,
        max_model_len=length,
        num_blocks=_cache_blocks(length, max_running),
        weight_dtype=compute.weights,
        backend=compute.backend,
        speculative=compute.speculative,
    )
    engine = Engine.from_pretrained(folder, config)
    say(str(engine.compute_path))
    gc.freeze()  # what is loaded stays: the collector need not walk it in the middle of a step
    return LoadedModel(model_name(folder), engine, tokenizer, length)


def path_of(model: ModelConfig) -> str:
    """What computes in an engine that serves a float32 model of these sizes by default, in a line for the user."""
    import torch

    from baleen.config import EngineConfig
    from baleen.engine import choose_path

    return str(choose_path(EngineConfig(), model, torch.float32))


def usable_threads(threads: int) -> int:
    """`threads`, or the processors that this process may use where they are fewer; says so."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads <= processors:
        return threads
    say(f"--threads is {threads}, this process may use {processors} processors; using {processors}")
    return processors


def _cache_blocks(max_model_len: int, max_running: int) -> int:
    """Room for a few answers of full length, or many short ones; the engine makes the others wait."""
    from baleen.config.engine import EngineConfig

    block_size = EngineConfig().block_size
    return max(1024, 1 + min(max_running, _FULL_LENGTH_ANSWERS) * -(-max_model_len // block_size))


def page_prices() -> "Prices":
    """The hosted model's prices, for the cost line of the server's page."""
    from baleen.cost.prices import price
    from baleen.server import Prices

    row = price()
    return Prices(row.model, str(row.as_of), row.input, row.cached, row.output)
