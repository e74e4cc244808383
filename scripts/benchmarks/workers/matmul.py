"""What the machine can do at all: matrix products a second by XLA and by NumPy's BLAS, and memory traffic.

Work is counted in floating point operations; in the variant `copy` in bytes read and written.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import protocol

CHAIN = 64
"""Products that hang on each other in one call, as layers do."""


def chain(batch: int, size: int, length: int, dtype: str = "float32") -> protocol.Call:
    """`length` dependent products [batch, size, size] × [batch, size, size]."""

    @jax.jit
    def run(x, w):
        return jax.lax.fori_loop(0, length, lambda _, x: x @ w, x)

    draws = (jax.random.normal(jax.random.key(k), (batch, size, size)) / np.sqrt(size) for k in range(2))
    x, w = (draw.astype(dtype) for draw in draws)
    return protocol.clocked(lambda: run(x, w).block_until_ready(), 2.0 * length * batch * size**3)


def blas(size: int) -> protocol.Call:
    """One product by NumPy."""
    x = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    return protocol.clocked(partial(np.matmul, x, x), 2.0 * size**3)


def copy(megabytes: int) -> protocol.Call:
    """x + 1 on an array far larger than any cache."""
    x = jnp.zeros(megabytes * 2**18)
    add = jax.jit(lambda x: x + 1.0)
    return protocol.clocked(lambda: add(x).block_until_ready(), 2.0 * megabytes * 2**20)


def main() -> None:
    """Serves."""
    device = jax.local_devices()[0]
    variants = {
        "256 chain": chain(1, 256, CHAIN),
        "2 x 256 chain": chain(2, 256, CHAIN),
        "1024": chain(1, 1024, 4),
        "2048": chain(1, 2048, 1),
        "copy": copy(256),
    }
    if device.platform == "cpu":
        variants["2048 BLAS"] = blas(2048)
    else:
        variants |= {"32 x 256 chain": chain(32, 256, CHAIN), "8192": chain(1, 8192, 1)}
    protocol.serve(variants, {"versions": protocol.versions("jax", "jaxlib", "numpy"), "device": device.device_kind})


if __name__ == "__main__":
    main()
