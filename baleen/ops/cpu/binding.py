"""The compiled library's functions and their signatures."""

import ctypes
from functools import cache
from typing import Any

import torch

from baleen.ops.cpu.build import library


def call(name: str, *arguments: int | float | None) -> None:
    """Call a kernel that takes the number of threads last."""
    kernel(name)(*arguments, torch.get_num_threads())


_P, _L, _I, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
# pointers and strides are 64 bits wide, sizes and types 32
_SIGNATURES = {
    "wants_pairs": (),
    "linear": (_P, _L, _L, _P, _P, _I, _P, _L, _L, *[_I] * 5),
    "experts": (*[_P] * 9, _I, _P, *[_I] * 6),
    "select_slots": (*[_P] * 4, _I, *[_P] * 4, *[_I] * 7),
    "sparse_attention": (_P, _P, _I, *[_P] * 3, *[_I] * 6),
    "rms_norm": (_P, _P, _P, _I, _I, _F),
    "write_latents": (*[_P] * 11, _I, _P, *[_I] * 5, _F, _F),
    "rotate_queries": (*[_P] * 5, *[_I] * 7, _F),
    "route": (*[_P] * 4, *[_I] * 7, _F),
    "latent_attention": (*[_P] * 10, _I, _I, _P, _P, _P, *[_I] * 5),
    "gathered_attention": (*[_P] * 6, *[_I] * 6, _F, _I),
    "gathered_attention_backward": (*[_P] * 8, *[_I] * 6, _F, _I),
    "gathered_scores": (*[_P] * 6, *[_I] * 6),
    "gathered_scores_backward": (*[_P] * 9, *[_I] * 6),
    "mixture": (_P, _P, _P, _I, _P, _I, _I),
}


@cache
def kernel(name: str) -> Any:
    """The function `name`; ask `available()` before."""
    compiled = library()
    assert compiled is not None, "the kernels are not available; ask `available()` first"
    found = getattr(compiled, name)
    found.argtypes, found.restype = _SIGNATURES[name], _I if name == "wants_pairs" else None
    return found
