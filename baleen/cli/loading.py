"""Loading a model, as several commands do: the options that say how it computes, and the engine that they lead to.

torch is imported inside the functions, so that `--help` and mistakes in the options are answered at once.
"""

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from baleen.cli.options import say
from baleen.config import ModelConfig, UserError
from baleen.config.engine import BackendName, WeightDtype
from baleen.runs.machine import usable_cores
from baleen.runs.model_folder import model_folder, model_name

if TYPE_CHECKING:
    from baleen.chat import Tokenizer
    from baleen.engine import Engine


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """How a model computes."""

    threads: int = 1
    """CPU threads for the model."""

    weights: Annotated[Literal["auto", WeightDtype], tyro.conf.arg(aliases=["--dtype"])] = "auto"
    """Number format of the weights; auto keeps the checkpoint's own, any other asks for the CPU kernels."""

    backend: BackendName = "auto"
    """auto: the compiled CPU kernels, or plain PyTorch where there is no C++ compiler; torch: plain PyTorch."""

    speculative: bool = False
    """Let the MTP layer draft a token ahead: the same answers, sooner where the drafts are right."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An engine, and what is needed to talk to its model. max_model_len: in tokens."""

    name: str
    engine: "Engine"
    tokenizer: "Tokenizer"
    max_model_len: int


def load(path: Path, max_running: int, max_model_len: int | None, compute: ComputeOptions) -> LoadedModel:
    """Load a model for generation. max_running: answers at a time. Raises UserError, OSError for a bad folder."""
    folder = model_folder(path)
    import torch

    from baleen.chat import ChatError, Tokenizer
    from baleen.engine import Engine
    from baleen.engine.serving import serving_config

    torch.set_num_threads(usable_threads(compute.threads))
    if not (folder / "tokenizer.json").is_file():
        raise UserError(
            f"{folder} holds a model without tokenizer.json; copy that file from where the model came from"
        )
    try:
        tokenizer = Tokenizer.from_pretrained(folder)
    except ChatError as error:
        raise UserError(f"{folder / 'tokenizer.json'}: {error}") from error
    config = serving_config(
        ModelConfig.from_pretrained(folder),
        max_running,
        max_model_len,
        weight_dtype=compute.weights,
        backend=compute.backend,
        speculative=compute.speculative,
    )
    engine = Engine.from_pretrained(folder, config)
    say(str(engine.compute_path))
    gc.freeze()  # what is loaded stays: the collector need not walk it in the middle of a step
    return LoadedModel(model_name(folder), engine, tokenizer, engine.max_model_len)


def usable_threads(threads: int) -> int:
    """`threads`, or the processors that this process may use where they are fewer, in which case the user is told."""
    processors = usable_cores()
    if threads <= processors:
        return threads
    say(f"--threads is {threads}, this process may use {processors} processors; using {processors}")
    return processors
