"""A point mass in JAX, in the manner of gymnax, which it does not need: push it to the origin.

softrl train experiments.environments.point_mass:make_env --steps 65536
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import Continuous


class Params(NamedTuple):
    """What can be set. max_steps_in_episode: the time limit, unless `--episode-length` sets another."""

    mass: float = 1.0
    reach: float = 5.0
    max_steps_in_episode: int = 100


class State(NamedTuple):
    """position, velocity: `[2]`, in m and m/s. time: steps."""

    position: jax.Array
    velocity: jax.Array
    time: jax.Array


class PointMass:
    """Observation: position and velocity, `[4]`. Action: a force `[2]` within ±2 N. Lost beyond `reach`."""

    default_params = Params()

    def action_space(self, params: Params) -> Continuous:
        """Two numbers, and what −1 and 1 mean."""
        return Continuous(2, low=(-2.0, -2.0), high=(2.0, 2.0))

    def reset(self, key: jax.Array, params: Params):
        """Somewhere near the origin, at rest."""
        state = State(jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0), jnp.zeros(2), jnp.int32(0))
        return self._seen(state), state

    def step_env(self, key: jax.Array, state: State, action: jax.Array, params: Params):
        """A tenth of a second, with a little wind. It does not reset itself."""
        force = action + 0.05 * jax.random.normal(key, (2,))
        velocity = 0.95 * state.velocity + 0.1 * force / params.mass
        state = State(state.position + 0.1 * velocity, velocity, state.time + 1)
        reward = -jnp.sum(state.position**2) - 0.01 * jnp.sum(action**2)
        lost = jnp.max(jnp.abs(state.position)) > params.reach
        done = lost | (state.time >= params.max_steps_in_episode)  # softrl sets the limit so that only `lost` is left
        return self._seen(state), state, reward, done, {}

    def _seen(self, state: State) -> jax.Array:
        return jnp.concatenate([state.position, state.velocity])


def make_env(mass: float = 1.0):
    """The environment and its parameters. `--env-kwargs '{"mass": 2.0}'` makes a heavier one."""
    return PointMass(), Params(mass=mass)
