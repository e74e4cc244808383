"""Counters that do not overflow and randomness by address.

JAX's default integers have 32 bits; a long run passes 2³¹ environment steps. A `Counter` keeps 64 bits in two words.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32


class Counter(NamedTuple):
    """A 64-bit natural number as two `uint32` words. Shapes: `[]`, `[]`."""

    high: jax.Array
    low: jax.Array

    @staticmethod
    def of(value: int) -> "Counter":
        """The counter that reads `value`, 0 ≤ value < 2⁶⁴."""
        return Counter(jnp.uint32(value >> 32), jnp.uint32(value & 0xFFFFFFFF))

    def __int__(self) -> int:
        return (int(self.high) << 32) | int(self.low)

    def plus(self, amount: "int | jax.Array | Counter") -> "Counter":
        """The counter advanced by another, or by a number, 0 ≤ amount < 2³²."""
        high, amount = amount if isinstance(amount, Counter) else (0, amount)
        low = self.low + jnp.uint32(amount)
        return Counter(self.high + (low < self.low).astype(jnp.uint32) + jnp.uint32(high), low)

    def minus(self, amount: int | jax.Array) -> "Counter":
        """The counter moved back by `amount`, 0 ≤ amount ≤ its value."""
        low = self.low - jnp.uint32(amount)
        return Counter(self.high - (low > self.low).astype(jnp.uint32), low)

    def mod(self, modulus: int) -> jax.Array:
        """The remainder by a static 1 ≤ modulus < 2³¹, as `int32`, by binary long division."""
        if not 1 <= modulus < 2**31:
            raise ValueError(f"modulus must be in [1, 2³¹), got {modulus}")
        if modulus & (modulus - 1) == 0:
            return (self.low & jnp.uint32(modulus - 1)).astype(jnp.int32)
        remainder = self.high % jnp.uint32(modulus)
        for bit in reversed(range(32)):
            remainder = (remainder << 1) | ((self.low >> bit) & 1)
            remainder = jnp.where(remainder >= modulus, remainder - jnp.uint32(modulus), remainder)
        return remainder.astype(jnp.int32)

    def at_least(self, value: int) -> jax.Array:
        """Whether the counter has reached `value`, 0 ≤ value < 2⁶⁴. Shape `[]`."""
        high, low = jnp.uint32(value >> 32), jnp.uint32(value & 0xFFFFFFFF)
        return (self.high > high) | ((self.high == high) & (self.low >= low))

    def capped(self, ceiling: int) -> jax.Array:
        """min(counter, ceiling) as `int32`, 0 ≤ ceiling < 2³¹."""
        return jnp.where(self.at_least(ceiling), jnp.int32(ceiling), self.low.astype(jnp.int32))


class Clock(NamedTuple):
    """What time it is in a run; the same for all its members, so branches on it stay branches under `vmap`.

    step: vector environment steps taken (each advances every environment once).
    update: gradient updates made.
    """

    step: Counter
    update: Counter

    @staticmethod
    def start() -> "Clock":
        """The clock of a run that has done nothing yet."""
        return Clock(Counter.of(0), Counter.of(0))


class Purpose:
    """What a random draw is for: the last word of its address."""

    ENV = 0
    ACT = 1
    SAMPLE = 2
    UPDATE = 3
    INIT = 4
    EVALUATE = 5
    CARRY = 6


def at(key: jax.Array, counter: Counter, purpose: int) -> jax.Array:
    """The key of one draw, addressed by (run, counter, purpose); never a split chain, so any step can be replayed.

    Args: `key`: a run's threefry key. Returns: a key of the same kind.
    """
    return tick(stream(key, purpose), counter)


def stream(key: jax.Array, purpose: int) -> jax.Array:
    """The key of all draws of one purpose; the first half of `at`, worth taking out of a loop over the counter."""
    return jax.random.fold_in(key, purpose)


def tick(key: jax.Array, counter: Counter) -> jax.Array:
    """`fold_in` of a 64-bit counter: one hash of both words, equal to `jax.random.fold_in` below 2³²."""
    words = threefry_2x32(jax.random.key_data(key), jnp.stack([counter.high, counter.low]))
    return jax.random.wrap_key_data(words, impl="threefry2x32")  # whatever this process's default is
