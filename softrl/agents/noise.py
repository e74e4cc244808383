"""Exploration by noise with a memory: ε_t is N(0, I) at every step, and depends on what it was before.

The action is the policy's own transform of it, a_t = tanh(μ(s_t) + σ(s_t) ε_t), or of discrete ones what
`distributions.categorical.transform` makes of it: each alone is exactly a draw of the
policy, successive ones push the same way. What an environment remembers goes on only where `seen` has said that its
episode does. Whoever acts and never calls it, an evaluation say, gets independent draws.

All is arithmetic that arrays of JAX and of NumPy share, so that hosts act by the same functions.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array | np.ndarray


class NoiseState(NamedTuple):
    """What N environments remember.

    vectors: `[N, J, A]`, what the noise is made of. left: `[N]` int32, how many more steps they serve; minus that until
    the step was `seen`; 0: none, as in an episode's first step.
    """

    vectors: Array
    left: Array


class Noise(NamedTuple):
    """A kind of noise.

    name: as settings have it. vectors: J. step: `(state, standard normal [N, J, A], uniform [N]) -> (noise [N, A],
    state)`; where nothing is left, or the last step was not seen, the noise depends on nothing before.
    """

    name: str
    vectors: int
    step: Callable[[NoiseState, Array, Array], tuple[Array, NoiseState]]


def begin(noise: Noise, num_envs: int, size: int) -> NoiseState:
    """N environments at their first step. Args: `size`: A."""
    return NoiseState(jnp.zeros((num_envs, noise.vectors, size)), jnp.zeros(num_envs, jnp.int32))


def draw(noise: Noise, state: NoiseState, key: jax.Array) -> tuple[jax.Array, NoiseState]:
    """The noise of one step `[N, A]`, a function of the key and of what is remembered."""
    normal, uniform = jax.random.split(key)
    return noise.step(
        state, jax.random.normal(normal, state.vectors.shape), jax.random.uniform(uniform, state.left.shape)
    )


def draw_in_numpy(noise: Noise, state: NoiseState, random: np.random.Generator) -> tuple[np.ndarray, NoiseState]:
    """As `draw`, of NumPy arrays and by NumPy's numbers."""
    normal = random.standard_normal(state.vectors.shape, np.float32)
    return noise.step(state, normal, random.random(state.left.shape, np.float32))


def seen(state: NoiseState, ended: Array) -> NoiseState:
    """After the environments' step: what was `left` goes on; rows that `ended` `[N]` start afresh."""
    return state._replace(left=abs(state.left) * (~ended).astype("int32"))


LONGEST = 16
"""A vector is held for at most so many steps."""

_SHARES = 1.0 / np.arange(1, LONGEST + 1) ** 2
_UNTIL = np.float32(np.cumsum(_SHARES / _SHARES.sum()))[None, :-1]


def _repeated(state: NoiseState, normal: Array, uniform: Array) -> tuple[Array, NoiseState]:
    """A vector serves for k steps, P(k) ∝ 1/k², 1 ≤ k ≤ 16 (FlashSAC, arXiv:2604.04539, whose environments share one
    counter; here each has its own)."""
    steps = 1 + (uniform[:, None] >= _UNTIL).sum(-1).astype("int32")
    new = state.left <= 0
    left = state.left + new.astype("int32") * (steps - state.left)
    fresh = new.astype("float32")[:, None, None]
    vectors = fresh * normal + (1.0 - fresh) * state.vectors
    return vectors[:, 0], NoiseState(vectors, 1 - left)


OCTAVES = 9
"""Time constants of pink noise are 1, 2, 4, … 256 steps: about 1/f from an episode of a thousand steps upwards."""

DECAY = np.exp(-(0.5 ** np.arange(OCTAVES)))
"""ρ_j = exp(−1/τ_j), what each filter keeps of itself a step. The noise's autocorrelation after k steps is Σ_j ρ_jᵏ/J.
"""

_KEEPS = np.float32(DECAY)[None, :, None]
_TAKES = np.float32(np.sqrt(1.0 - DECAY**2))[None, :, None]


def _pink(state: NoiseState, normal: Array, uniform: Array) -> tuple[Array, NoiseState]:
    """ε = Σ_j z_j/√J of stationary filters z_j ← ρ_j z_j + √(1 − ρ_j²) w_j, an octave each, that begin as w_j.

    Source: Eberhard et al. 2023, "Pink noise is all you need" (ICLR). They draw the noise of a whole episode at once,
    by an FFT; filters have nearly its spectrum, remember J numbers instead of an episode, and know no episode's length.
    """
    going = (state.left > 0).astype("float32")[:, None, None]
    vectors = going * _KEEPS * state.vectors + (going * _TAKES + (1.0 - going)) * normal
    # Always one step left: a filter goes on until its episode ends.
    return vectors.sum(1) / math.sqrt(OCTAVES), NoiseState(vectors, 0 * state.left - 1)


NOISES: Mapping[str, Noise] = {
    noise.name: noise for noise in (Noise("repeated", 1, _repeated), Noise("pink", OCTAVES, _pink))
}
"""By name; white noise, which remembers nothing, is not among them."""
