"""A point that drifts where it is pushed, by actions of either kind, of which one environment fails now and then."""

import jax
import jax.numpy as jnp

from softrl.types import Action, Continuous, Discrete, Simulator

FAILING, PERIOD = 3, 5
"""Environment `FAILING` returns NaN at every `PERIOD`-th step of an episode."""


def wanderer(kind: Action) -> Simulator:
    """Pays −x² for staying at 0; dies beyond ± 2."""

    def reset(key, index):
        x = jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0)
        return (x, jnp.int32(0), index == FAILING), x

    def step(sim, action):
        x, steps, failing = sim
        push = action.astype(jnp.float32) - 1.0 if isinstance(kind, Discrete) else action[0]
        x, steps = 0.9 * x + 0.2 * push, steps + 1
        poison = jnp.where(failing & (steps % PERIOD == 0), jnp.nan, 0.0)
        return (x, steps, failing), x + poison, -jnp.square(x[0]) + poison, jnp.abs(x[0]) > 2.0

    return Simulator(reset, step, kind)


def continuous() -> Simulator:
    """Pushed by a number, harder to the left."""
    return wanderer(Continuous(1, (-2.0,), (1.0,)))


def discrete() -> Simulator:
    """Pushed left (0), not (1) or right (2)."""
    return wanderer(Discrete(3))
