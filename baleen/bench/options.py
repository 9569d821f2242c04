"""The options of `baleen bench`, checked before anything is loaded."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from baleen.config import ModelConfig, UsageError, UserError
from baleen.config.engine import WeightDtype
from baleen.installation import install_command

OURS = "baleen"
PEERS = {"transformers": ("transformers",), "llama.cpp": ("xllamacpp", "gguf")}  # and the packages they need
LOAD_PROMPT, LOAD_TOKENS = 128, 128  # tokens of the prompts and of the completions of concurrent requests
_CONTEXTS = (1536, 2048, 16384, 32768)
_PROMPTS = (512, 2048)
_PREFIX = 4096
_ROTATION = 64  # llama.cpp rotates index keys by a Hadamard matrix of this size


@dataclass(frozen=True)
class Options:
    """Measure the engine: prefill, decode, load, prefix cache; each against what this machine could do at best.

    Every engine runs in a process of its own with pinned threads, and they take turns in every round. Close other
    programs first: on a busy machine the spread tells how little the numbers mean.
    """

    model: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL]")] = None
    """Model folder, or the folder of a finished run."""

    shape: Literal["400m", "140m", "tiny"] | None = None
    """A model with random weights in its place, named for its number of parameters."""

    weights: Annotated[WeightDtype, tyro.conf.arg(aliases=["--dtype"])] = "float32"
    """Type of the weights, the same for every engine; for int8 q8_0 in llama.cpp and bfloat16 in transformers."""

    plain: bool = False
    """Our engine in plain PyTorch, without the CPU kernels."""

    contexts: tuple[int, ...] = ()
    """Cached tokens before the decoded ones; 1536 2048 16384 32768 if not given, as far as the model goes."""

    prompts: tuple[int, ...] = ()
    """Tokens of the prompts whose prefill is timed; 512 2048 if not given."""

    prefix: int = 0
    """Tokens of the prompt that is sent twice, to time the prefix cache; 4096 if not given."""

    streams: int = 8
    """Concurrent requests whose throughput is compared with that of one."""

    tokens: int = 32
    """Tokens decoded in each measurement."""

    repeats: int = 3
    """Rounds of each measurement; the median counts, and half the range is the spread."""

    threads: int = 1
    """CPU threads of every engine."""

    chunk: Annotated[int, tyro.conf.arg(aliases=["--max-num-batched-tokens"])] = 1024
    """Prompt tokens in one step of our engine."""

    peers: str = ""
    """Other engines beside ours, as transformers,llama.cpp. They come with the extra `bench`."""

    seconds: float = 900.0
    """Longest time that one measurement may take, preparation included; a slower peer is left out from there on."""

    seed: int = 0
    """Seed of the random weights and of the prompts."""

    keep: Path | None = None
    """New folder for the model of --shape; a temporary one if not given."""

    json: Path | None = None
    """Write everything that was measured to this file."""

    plot: Path | None = None
    """Write decode and prefill speed to this .svg file."""


def asked_peers(options: Options) -> list[str]:
    """The peers that are asked for. Raises UsageError, UserError for options that cannot work with any model."""
    for field in ("streams", "tokens", "repeats", "threads", "chunk", "seconds"):
        if getattr(options, field) <= 0:
            raise UsageError(f"--{field} is {getattr(options, field)}; it must be above 0")
    if min((*options.contexts, *options.prompts, 1)) < 1 or options.prefix < 0:
        raise UsageError("--contexts, --prompts and --prefix are numbers of tokens; give at least 1")
    if options.plot is not None and options.plot.suffix != ".svg":
        raise UsageError(f"--plot {options.plot} does not end in .svg; the figure is written as SVG")
    for path in (options.json, options.plot):
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"{path.parent} is no folder; create it first")
    peers = [peer for peer in options.peers.replace(" ", "").split(",") if peer]
    for peer in peers:
        if peer not in PEERS:
            raise UsageError(f"--peers {peer!r} is unknown; known are {', '.join(PEERS)}")
        missing = [package for package in PEERS[peer] if importlib.util.find_spec(package) is None]
        if missing:
            raise UsageError(
                f"--peers {peer} needs {' and '.join(missing)}, not installed here; "
                f"install what it needs with: {install_command('bench')}"
            )
    if options.weights == "int8" and options.plain:
        raise UsageError("--plain has no int8 weights; choose --weights float32 or bfloat16, or leave it out")
    return list(dict.fromkeys(peers))


def check_llama_cpp(config: ModelConfig) -> None:
    """Raises UserError for a model that `gguf_file` cannot write or llama.cpp cannot run."""
    if not config.index_n_heads or config.rope_scaling is not None:
        raise UserError(
            "llama.cpp is compared on models with indexers and without rope_scaling; leave it out of --peers"
        )
    if config.index_head_dim % _ROTATION:
        raise UserError(
            f"llama.cpp wants index_head_dim to be a multiple of {_ROTATION}, this model's is "
            f"{config.index_head_dim}; leave it out of --peers"
        )


def fitted(options: Options, config: ModelConfig) -> Options:
    """`options` with every length decided. Raises UserError for one that the model's context cannot hold."""
    limit = config.max_position_embeddings
    room = limit - options.tokens - 1  # what is decoded needs positions too
    decided = replace(
        options,
        contexts=_ordered(options.contexts or [n for n in _CONTEXTS if n <= room] or [max(1, room)]),
        prompts=_ordered(options.prompts or [n for n in _PROMPTS if n <= room] or [max(1, room)]),
        prefix=options.prefix or max(1, min(_PREFIX, room)),
    )
    longest = longest_sequence(decided)
    if longest > limit:
        raise UserError(
            f"--tokens {options.tokens} after the longest context asked for make {longest} tokens, this model's "
            f"max_position_embeddings is {limit}; give shorter ones"
        )
    return decided


def longest_sequence(options: Options) -> int:
    """Tokens of the longest sequence that is measured, the decoded ones included."""
    longest = max(*options.contexts, *options.prompts, options.prefix, LOAD_PROMPT + LOAD_TOKENS)
    return longest + options.tokens + 1


def _ordered(lengths: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(lengths)))
