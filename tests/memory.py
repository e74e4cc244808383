"""Gives memory back that compiled programs hold."""

import ctypes
import gc
import sys

import psutil

GIBIBYTE = 2**30


def give_back() -> None:
    """Forgets every compiled program if the process has grown large; what is needed again is in the cache on disk."""
    if psutil.Process().memory_info().rss < GIBIBYTE:
        return
    import jax

    if "tests.compiled" in sys.modules:
        sys.modules["tests.compiled"].forget()
    jax.clear_caches()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc keeps the freed pages otherwise: without this, nothing is gained
        trim(0)
