"""So many cores for a contestant, and as many threads."""

import contextlib
import os
from collections.abc import Iterator

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables by which PyTorch and BLAS libraries learn how many threads to have."""


@contextlib.contextmanager
def pinned(cores: int) -> Iterator[dict[str, str]]:
    """Pins this process, and so all that it starts while the block runs, to the last so many cores that it may use.

    Yields: the environment variable by which XLA learns it; PyTorch's are `THREADS`.
    Raises: RuntimeError where there are fewer, or the system cannot pin.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise RuntimeError("this system cannot pin a process to cores, so that nobody's rate would be of one core")
    before = os.sched_getaffinity(0)
    if not 1 <= cores <= len(before):
        raise RuntimeError(f"--cores {cores}: this process may use {len(before)}")
    os.sched_setaffinity(0, sorted(before)[-cores:])
    try:
        yield {"NPROC": str(cores)}
    finally:
        os.sched_setaffinity(0, before)
