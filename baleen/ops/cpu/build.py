"""Compiles the kernels for this machine, once, into the user's cache; none where there is no C++ compiler."""

import ctypes
import fcntl
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
    *("mla.cpp", "layer.cpp", "training.cpp"),
)
HEADERS = ("vectors.h", "tiles.h", "experts.h", "packed.h", "sparse.h", "kernels.h")
COMPILERS = ("g++", "clang++", "c++")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-fvisibility=hidden")
SECONDS = 300  # that a compilation may take
INSTRUCTION_SETS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "asimd": "NEON"}
_HERE = Path(__file__).parent

logger = logging.getLogger("baleen")


@cache
def load() -> tuple[ctypes.CDLL | None, str]:
    """The compiled kernels and ""; or None and, in a clause, why they cannot be had and what to do.

    The environment's BALEEN_KERNELS=off leaves everything to plain PyTorch, also where no option reaches: in training.
    """
    if os.environ.get("BALEEN_KERNELS") == "off":
        return None, "BALEEN_KERNELS is off"
    target = cache_folder() / _file_name()
    try:
        if not target.exists():
            compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
            if compiler is None:
                names = ", ".join(COMPILERS)
                return None, f"no C++ compiler ({names}) was found; install g++ for about 4 times the speed"
            _compile(compiler, target)
        return ctypes.CDLL(str(target)), ""
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error)
        return None, f"they could not be compiled and loaded: {told.strip().splitlines()[0]}"


def library() -> ctypes.CDLL | None:
    """The compiled kernels; None where they cannot be had."""
    return load()[0]


def cache_folder() -> Path:
    """Where compiled kernels are kept from one process to the next."""
    return Path.home() / ".cache" / "baleen"


def _file_name() -> str:
    """Of the library that these sources make on this processor, whichever compiler made it."""
    digest = hashlib.sha256(" ".join((*FLAGS, _processor())).encode())
    for name in (*HEADERS, *SOURCES):
        digest.update((_HERE / name).read_bytes())
    return f"kernels-{digest.hexdigest()[:16]}.so"


def _compile(compiler: str, target: Path) -> None:
    """Make `target`, which is there whole or not at all; of several processes that start together one compiles."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return
        logger.warning("compiling the CPU kernels (once, some ten seconds)…")
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            built = Path(scratch, "kernels.so")
            words = [compiler, *FLAGS, *(str(_HERE / name) for name in SOURCES), "-o", str(built)]
            subprocess.run(words, check=True, capture_output=True, text=True, timeout=SECONDS)
            os.replace(built, target)


def instruction_set() -> str:
    """The widest vectors of this processor that the kernels use, for people: "AVX2"."""
    flags = _processor().split()
    found = (name for flag, name in INSTRUCTION_SETS.items() if flag in flags)
    return next(found, platform.machine())


def _processor() -> str:
    """What -march=native depends on: a cache may be shared by machines of several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return platform.machine() + platform.processor()
