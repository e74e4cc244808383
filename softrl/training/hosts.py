"""One run over several hosts: every process holds its slice of the same sharded run and calls the same programs.

    hosts.join("10.0.0.1:9876", count=2, index=0)                     # in each process, with its own index
    mesh = devices.make_mesh(members, data_shards, jax.devices())     # all devices of all hosts
    run, info = chunk(run, hypers)                                    # in each process; XLA exchanges what it must
    numbers = hosts.gathered(info)                                    # in each process, the whole

The draws do not depend on where a shard lives, so the run is that of one host up to the order of sums. Sessions and
their files (`softrl.train`) are one process's; this is the compiled part.
"""

import jax
import numpy as np

from softrl.errors import ConfigError
from softrl.types import PyTree


def join(address: str, *, count: int, index: int, timeout_s: int = 300) -> None:
    """Makes this process one of `count` that run together; to be called before anything else of JAX's.

    Args: `address`: host:port where process 0 listens, the same for all; `index`: of this process, from 0; `timeout_s`:
    to wait for the others.
    Raises: ConfigError where the numbers cannot be, JAX has begun already, or not all processes came.
    """
    if not 0 <= index < count:
        raise ConfigError(f"index must be in [0, {count}), got {index}")
    if address.rpartition(":")[0] == "" or not address.rpartition(":")[2].isdigit():
        raise ConfigError(f"address must be host:port of process 0, got {address!r}")
    try:
        jax.distributed.initialize(address, count, index, initialization_timeout=timeout_s)
    except RuntimeError as error:  # what JAX and its coordination service raise
        raise ConfigError(
            f"process {index} of {count} could not join at {address}: {' '.join(str(error).split())[:300]}"
        ) from error


def gathered(tree: PyTree) -> PyTree:
    """All of a sharded tree as NumPy arrays, in every process; keys as their words. All processes must call it."""
    from jax.experimental import multihost_utils

    def words(leaf: jax.Array) -> jax.Array:
        return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf

    return jax.tree.map(np.asarray, multihost_utils.process_allgather(jax.tree.map(words, tree), tiled=True))
