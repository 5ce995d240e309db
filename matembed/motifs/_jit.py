"""How kernels are compiled: cached on disk where there is a place for it."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from numba import njit

__all__ = ["announce", "inner", "inner_fast", "kernel"]


def _decorator(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    def decorate(function: Callable[..., Any]) -> Any:
        # without checks for division by zero, which gives inf or nan as in NumPy, there is less to compile and to run
        compiled = partial(njit, error_model="numpy", **options)
        try:
            return compiled(cache=True)(function)
        except RuntimeError:  # neither this folder nor the user's can be written to
            return compiled()(function)

    return decorate


# Called from Python.
kernel = _decorator()
# Called from kernels only, which saves a quarter of the time to compile.
inner = _decorator(no_cpython_wrapper=True, no_cfunc_wrapper=True)
# The same, where rounding may be in any order.
inner_fast = _decorator(no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath=True)


def announce(function: Any) -> None:
    """Say on standard error that a kernel is about to be compiled, unless this or another process has done it."""
    if function.signatures:
        return
    folder = getattr(getattr(function, "_cache", None), "cache_path", None)
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}-{function.__code__.co_firstlineno}."
    if folder is None or not any(Path(folder).glob(f"{name}*.nbi")):
        sys.stderr.write("matembed: compiling the motif kernels, once; this takes about half a minute\n")
