"""Compiles the kernels for this machine, once, into the user's cache; none where there is no C++ compiler."""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCES = (
    *("linear.cpp", "tiles.cpp", "indexer.cpp", "attention.cpp", "sparse_tiles.cpp"),
    *("mla.cpp", "layer.cpp"),
)
HEADERS = ("vectors.h", "tiles.h", "experts.h", "packed.h", "sparse.h", "kernels.h")
COMPILERS = ("g++", "clang++", "c++")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-fvisibility=hidden")
SECONDS = 300  # that a compilation may take

logger = logging.getLogger("baleen")


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels; None, with one visible line that says why, where they cannot be had."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        return _without(
            f"no C++ compiler ({', '.join(COMPILERS)}) was found; install one, as with apt install g++"
        )
    try:
        return ctypes.CDLL(str(_compiled(Path(compiler), cache_folder())))
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error)
        return _without(f"{compiler} failed: {told.strip().splitlines()[0]}")


def cache_folder() -> Path:
    """Where compiled kernels are kept from one process to the next."""
    return Path.home() / ".cache" / "baleen"


def _compiled(compiler: Path, folder: Path) -> Path:
    here = Path(__file__).parent
    digest = hashlib.sha256(" ".join((str(compiler), *FLAGS, _processor())).encode())
    for name in (*HEADERS, *SOURCES):
        digest.update((here / name).read_bytes())
    target = folder / f"kernels-{digest.hexdigest()[:16]}.so"
    if not target.exists():
        logger.warning("compiling the CPU kernels, once (some ten seconds)")
        folder.mkdir(parents=True, exist_ok=True)
        # beside its target: two processes that compile at once both rename a whole file
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            built = Path(scratch, "kernels.so")
            words = [str(compiler), *FLAGS, *(str(here / name) for name in SOURCES), "-o", str(built)]
            subprocess.run(words, check=True, capture_output=True, text=True, timeout=SECONDS)
            os.replace(built, target)
    return target


def _processor() -> str:
    """What -march=native depends on: a cache may be shared by machines of several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return platform.machine() + platform.processor()


def _without(reason: str) -> None:
    logger.warning(
        "the CPU kernels are not used, plain PyTorch computes instead (slower, the same numbers): %s", reason
    )
